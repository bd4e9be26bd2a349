"""Load what a dissection needs: probe sets (the images that units are labelled with) and concept sets (the words)."""
