"""Workers on a Ray cluster: what they have to be like, what each of them gets, and what happens when one is lost."""
