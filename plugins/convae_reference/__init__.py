"""The reference plugin: the article's convolutional autoencoder, its loss and its recipe."""
