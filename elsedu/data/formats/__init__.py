"""Readers of the official files: IDX (MNIST), CIFAR-10, CelebA."""
