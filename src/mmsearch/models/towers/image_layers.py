"""An image tower with more than class features: class, last and middle layers, colors and shapes.

EfficientNet-Lite0 was trained to classify a thousand kinds of objects and to ignore their colors. Middle
layers have information that the last layer drops; colors and outlines are computed from the pixels. The
fusion learns from pairs which of these matter.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

# EfficientNet-Lite reads (x - 127) / 128 for pixels x of 0…255.
LITE_MEAN, LITE_SCALE = 127.0, 128.0
# The stages whose channel means and deviations are used, with 40 to 320 channels.
STAGES = (2, 3, 4, 5, 6)
COLOUR_STEPS = 4
ORIENTATIONS = 8
CELLS = 4
OUTLINE = 14


class PictureLayers(nn.Module):
    """Map images to [text-space vector | last layer | middle layers | colors | shapes].

    The first `names.shape[1]` values are the image's unit vector in the text tower's space. Each other part
    has length 1 too.
    """

    names: Tensor
    kernels: Tensor
    levels: Tensor

    def __init__(self, classifier: nn.Module, names: Tensor, temperature: float) -> None:
        super().__init__()
        self.classifier = classifier
        self.temperature = temperature
        self.register_buffer("names", names)
        sobel = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 8
        self.register_buffer("kernels", torch.stack([sobel, sobel.T]).unsqueeze(1))
        self.register_buffer("levels", torch.linspace(0, 1, COLOUR_STEPS))

    def forward(self, pixels: Tensor) -> Tensor:
        """Map uint8 [n, size, size, 3] to float32 [n, dimension]."""
        values = pixels.permute(0, 3, 1, 2).to(torch.float32)
        parts = [*self._network((values - LITE_MEAN) / LITE_SCALE), *self._counted(values / 255)]
        return torch.cat([functional.normalize(part, dim=1) for part in parts], dim=1)

    def _network(self, scaled: Tensor) -> list[Tensor]:
        net = self.classifier
        state = net.bn1(net.conv_stem(scaled))  # type: ignore[operator]
        middle = []
        for number, stage in enumerate(net.blocks):  # type: ignore[arg-type]
            state = stage(state)
            if number in STAGES:
                flat = state.flatten(2)
                middle.append(torch.cat([flat.mean(2), flat.std(2)], dim=1))
        last = net.bn2(net.conv_head(state)).flatten(2).mean(2)  # type: ignore[operator]
        chances = torch.softmax(net.classifier(last) / self.temperature, dim=1)  # type: ignore[operator]
        return [chances @ self.names, last, torch.cat(middle, dim=1)]

    def _counted(self, values: Tensor) -> list[Tensor]:
        small = functional.avg_pool2d(values, 4)
        side = small.shape[2]
        # A soft histogram: each pixel is shared linearly between the two nearest levels of its channel.
        near = (1 - (small.unsqueeze(2) - self.levels.view(1, 1, -1, 1, 1)).abs() * (COLOUR_STEPS - 1)).clamp(
            min=0
        )
        near = near.flatten(3)
        red, green, blue = near[:, 0], near[:, 1], near[:, 2]
        pairs = (red.unsqueeze(2) * green.unsqueeze(1)).flatten(1, 2)
        colours = (pairs @ blue.transpose(1, 2)).flatten(1) / side**2
        grey = small.mean(1, keepdim=True)
        slopes = functional.conv2d(grey, self.kernels, padding=1)
        strength = (slopes.square().sum(1, keepdim=True) + 1e-8).sqrt()
        angles = torch.arange(ORIENTATIONS, device=values.device) * (torch.pi / ORIENTATIONS)
        turned = slopes[:, :1] * angles.cos().view(1, -1, 1, 1) + slopes[:, 1:] * angles.sin().view(
            1, -1, 1, 1
        )
        edges = functional.avg_pool2d((turned / strength).abs().pow(4) * strength, side // CELLS)
        outline = functional.avg_pool2d((1 - small.amin(1, keepdim=True)), side // OUTLINE)
        # Square roots keep a few flat colors from dominating the others.
        return [
            colours.clamp(min=0).sqrt(),
            torch.cat([edges.flatten(1).clamp(min=0).sqrt()], dim=1),
            outline.flatten(1),
        ]
