"""The models of the zoo: files of installed packages, each with the entry that builds a model of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Model:
    """A model of an installed package: its file there, the entry to give where none is found, the least size
    of images in pixels (0: the task's own), the files that are evolved with it, whether those are found by
    its imports, the blocks that are evolved (none: all), and how many children are made."""

    name: str
    file: str
    entry: str
    size: int = 0
    also: tuple[str, ...] = ()
    package: bool = False
    blocks: tuple[str, ...] = ()
    children: int = 2

    @property
    def path(self) -> Path:
        return installed(self.file)

    @property
    def several(self) -> bool:
        """Whether it has several files."""
        return self.package or bool(self.also)

    @property
    def first_word(self) -> str:
        return self.name.partition(" ")[0]

    @property
    def kind(self) -> str:
        """What stands before the colon of its name: "files" for a model of several."""
        return self.name.partition(":")[0]


def installed(file: str) -> Path:
    """The path of a file that is told by its package: "torchvision/ops/misc.py"."""
    package, _, rest = file.partition("/")
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{package} is not installed: install it with pip install {package}")
    return Path(spec.origin).parent / rest


def torchvision(name: str, file: str, arguments: str = "", size: int = 0) -> Model:
    """A model that the factory `name` builds."""
    given = f"{name}({', '.join(filter(None, ('num_classes=10', arguments)))})"
    return Model(name, f"torchvision/models/{file}.py", given, size)


def of_torchvision(name: str, entry: str, *also: str, mine: str = "") -> Model:
    """A model that is evolved with files that it imports, told by their places in the package. Of its own
    blocks, where they are many, those at the addresses `mine` are."""
    blocks = (f"*{name}.py::{mine}", *(f"*{Path(file).name}.py::*" for file in also)) if mine else ()
    files = tuple(f"torchvision/{file}.py" for file in also)
    return Model(
        f"files:{name}", f"torchvision/models/{name}.py", entry, also=files, blocks=blocks, children=8
    )


def of_transformers(name: str, prefix: str, settings: str, layer: str, *also: str) -> Model:
    """A model of transformers that is evolved with its configuration and with other files. Of its own blocks,
    which are many, those of the class `layer` are."""
    files = (f"models/{name}/configuration_{name}", *also)
    return replace(
        transformers(name, prefix, settings),
        name=f"files:{name} (transformers)",
        also=tuple(f"transformers/{file}.py" for file in files),
        children=4,
        blocks=(f"*::{prefix}{layer}*", *(f"*{Path(file).name}.py::*" for file in files)),
    )


def transformers(name: str, prefix: str, settings: str, size: int = 0) -> Model:
    """A model for image classification with a small configuration."""
    given = f"{prefix}ForImageClassification({prefix}Config(num_labels=10, {settings}))"
    return Model(f"{name} (transformers)", f"transformers/models/{name}/modeling_{name}.py", given, size)


MODELS = (
    torchvision("alexnet", "alexnet", size=64),
    torchvision("vgg11", "vgg"),
    torchvision("resnet18", "resnet"),
    torchvision("squeezenet1_1", "squeezenet"),
    torchvision("densenet121", "densenet"),
    torchvision("googlenet", "googlenet", "init_weights=False"),
    torchvision("inception_v3", "inception", "aux_logits=False, init_weights=False", size=75),
    torchvision("shufflenet_v2_x0_5", "shufflenetv2"),
    torchvision("mobilenet_v2", "mobilenetv2"),
    torchvision("mobilenet_v3_small", "mobilenetv3"),
    torchvision("mnasnet0_5", "mnasnet"),
    torchvision("efficientnet_b0", "efficientnet"),
    torchvision("regnet_y_400mf", "regnet"),
    torchvision("convnext_tiny", "convnext"),
    Model(
        "swin, small",
        "torchvision/models/swin_transformer.py",
        "SwinTransformer([4, 4], 24, [1, 1, 1, 1], [1, 2, 4, 8], [2, 2], num_classes=10)",
    ),
    Model(
        "swin_v2, small",
        "torchvision/models/swin_transformer.py",
        "SwinTransformer([4, 4], 24, [1, 1, 1, 1], [1, 2, 4, 8], [2, 2], num_classes=10, "
        "block=SwinTransformerBlockV2, downsample_layer=PatchMergingV2)",
    ),
    Model(
        "vit, small",
        "torchvision/models/vision_transformer.py",
        "VisionTransformer(image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=32, "
        "mlp_dim=64, num_classes=10)",
    ),
    Model(
        "maxvit, small",
        "torchvision/models/maxvit.py",
        "MaxVit((64, 64), 16, 2, [16, 32], [1, 1], 8, 0.1, num_classes=10)",
        size=64,
    ),
    torchvision("resnext50_32x4d", "resnet"),
    torchvision("efficientnet_v2_s", "efficientnet"),
    torchvision("regnet_x_400mf", "regnet"),
    transformers(
        "vit",
        "ViT",
        "image_size=32, patch_size=8, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, "
        "intermediate_size=64",
    ),
    transformers("resnet", "ResNet", "embedding_size=16, hidden_sizes=[16, 32], depths=[1, 1]"),
    transformers("convnext", "ConvNext", "hidden_sizes=[16, 32, 48, 64], depths=[1, 1, 2, 1]"),
    transformers("mobilenet_v2", "MobileNetV2", "depth_multiplier=0.35"),
    transformers(
        "levit",
        "Levit",
        "image_size=64, hidden_sizes=[16, 32, 48], num_attention_heads=[2, 2, 2], depths=[1, 1, 1], "
        "key_dim=[8, 8, 8]",
        size=64,
    ),
    transformers("poolformer", "PoolFormer", "hidden_sizes=[16, 32, 48, 64], depths=[1, 1, 1, 1]"),
    transformers(
        "dinov2",
        "Dinov2",
        "image_size=32, patch_size=8, hidden_size=32, num_hidden_layers=2, num_attention_heads=2",
    ),
)


_VIT = "image_size=32, patch_size=8, hidden_size=32, num_hidden_layers=2, num_attention_heads=2"

SEVERAL = (
    of_torchvision(
        "mobilenetv3", "mobilenet_v3_small(num_classes=10, width_mult=0.25)", "ops/misc", "models/_utils"
    ),
    of_torchvision(
        "mobilenetv2", "mobilenet_v2(num_classes=10, width_mult=0.1)", "ops/misc", "models/_utils"
    ),
    of_torchvision(
        "efficientnet",
        "EfficientNet([MBConvConfig(1, 3, 1, 16, 8, 1), MBConvConfig(4, 3, 2, 8, 16, 1)], 0.1, "
        "num_classes=10)",
        "ops/misc",
        "ops/stochastic_depth",
        "models/_utils",
    ),
    of_torchvision(
        "convnext",
        "ConvNeXt([CNBlockConfig(16, 32, 1), CNBlockConfig(32, None, 1)], 0.1, num_classes=10)",
        "ops/misc",
        "ops/stochastic_depth",
        mine="CNBlock*",
    ),
    of_torchvision(
        "swin_transformer",
        "SwinTransformer([4, 4], 16, [1, 1], [1, 2], [2, 2], num_classes=10)",
        "ops/misc",
        "ops/stochastic_depth",
        mine="SwinTransformerBlock*",
    ),
    of_torchvision(
        "maxvit",
        "MaxVit((32, 32), 16, 4, [16, 32], [1, 1], 8, 0.1, num_classes=10)",
        "ops/misc",
        "ops/stochastic_depth",
        mine="MBConv*",
    ),
    of_torchvision(
        "regnet",
        "RegNet(BlockParams([1, 1], [16, 32], [8, 8], [1.0, 1.0], [2, 2], 0.25), 10, 8)",
        "ops/misc",
        "models/_utils",
    ),
    of_torchvision(
        "vision_transformer",
        "VisionTransformer(32, 8, 2, 2, 32, 64, num_classes=10)",
        "ops/misc",
        mine="EncoderBlock*",
    ),
    of_torchvision(
        "quantization/resnet",
        "QuantizableResNet(QuantizableBasicBlock, [1, 1, 1, 1], num_classes=10)",
        "models/resnet",
    ),
    of_torchvision(
        "quantization/shufflenetv2",
        "QuantizableShuffleNetV2([1, 1, 1], [8, 16, 24, 32, 64], num_classes=10)",
        "models/shufflenetv2",
    ),
    of_transformers("vit", "ViT", f"{_VIT}, intermediate_size=64", "MLP", "modeling_layers", "activations"),
    of_transformers("dinov2", "Dinov2", _VIT, "MLP", "modeling_layers", "activations"),
    of_transformers(
        "resnet", "ResNet", "embedding_size=16, hidden_sizes=[16, 32], depths=[1, 1]", "BottleNeckLayer"
    ),
    of_transformers(
        "poolformer", "PoolFormer", "hidden_sizes=[16, 32, 48, 64], depths=[1, 1, 1, 1]", "Output"
    ),
    replace(
        transformers(
            "regnet", "RegNet", "embedding_size=16, hidden_sizes=[16, 32], depths=[1, 1], groups_width=8"
        ),
        name="files:regnet (transformers)",
        package=True,
        children=4,
        blocks=("*::RegNet*Layer*", "configuration_regnet.py::*"),
    ),
)
"""Models of several files, small enough for a minute of a processor each."""
