"""The datasets of the zoo: photos, those of torchvision, and any folder of images."""
