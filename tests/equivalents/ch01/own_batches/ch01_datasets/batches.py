"""A helper beside the chapter: batches of tensors without torch's DataLoader."""

import torch


class Batches:
    """Whole batches, picked and transformed at once; in a new order each time when `generator` is given."""

    def __init__(self, images, labels, size, transform, generator=None):
        self.images, self.labels, self.size = images, labels, size
        self.transform, self.generator = transform, generator

    def __len__(self):
        if self.generator is not None:
            return len(self.labels) // self.size
        return (len(self.labels) + self.size - 1) // self.size

    def __iter__(self):
        order = torch.arange(len(self.labels))
        if self.generator is not None:
            order = torch.rand(len(self.labels), generator=self.generator).argsort()
        for k in range(len(self)):
            chosen = order[k * self.size : (k + 1) * self.size]
            yield self.transform(self.images[chosen]), self.labels[chosen]
