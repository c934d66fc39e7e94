"""Weights as a bioimage.io model package (format 0.5), for deepImageJ, ilastik and others."""
