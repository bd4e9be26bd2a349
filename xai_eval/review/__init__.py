"""Serves the page of a run to the person at this machine, who accepts, rejects or sets aside its cases."""
