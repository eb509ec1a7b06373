"""Training a network to predict noise (chapter "What a network learns").

    for step, loss in elsedu.training.train(network, data, steps=2000, batch=64, lr=1e-3,
                                            lr_schedule="short"):
        ...

The loss is the mean squared error between the noise added and the noise predicted, at times uniform on
{0, 1/1000, ..., 999/1000} (the paper's appendix C). Its minimiser over all functions is the ideal score,
which only returns training images; what a convolutional network finds instead is the subject of the book.
"""

from elsedu.training.loop import noise_prediction_loss, train
from elsedu.training.settings import Settings

__all__ = ["Settings", "noise_prediction_loss", "train"]
