"""`Result`: what an evaluation found. All code that measures ends here, and all code that judges starts here."""
