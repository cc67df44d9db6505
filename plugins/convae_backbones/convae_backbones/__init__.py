"""torchvision's image classifiers as encoders, and a mirrored VGG-16 as their decoder."""
