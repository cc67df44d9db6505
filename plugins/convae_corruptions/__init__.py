"""Corruptions of images: noise, lost pixels, blur and compression."""
