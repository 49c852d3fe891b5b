"""Other systems as this one needs them: each module is the HTTP side of a seam further down."""
