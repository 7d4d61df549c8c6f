"""Differentiable Augmentation Search: image-to-video augmentation, its search and its evidence."""
