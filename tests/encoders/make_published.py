"""Writes published.json: names and shapes of small networks as timm and Transformers have them, and the features they give.

    python tests/encoders/make_published.py

needs torch, timm and transformers, which no test does. Arrays follow from their names, so that tests make the same ones. Made with
torch 2.13.0, timm 1.0.31 and transformers 5.18.0.
"""

import json
from pathlib import Path

import numpy as np
import timm
import torch
import transformers
from published_arrays import array_of, image_of
from timm.models import convnext, resnet, vision_transformer

SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 32, "patch_size": 8}
STAGES = {"num_stages": 2, "hidden_sizes": [6, 8], "depths": [1, 2]}
HALVES, IMAGENET = ([0.5] * 3, [0.5] * 3), ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def timm_models():
    """Name, architecture in config.json, network, scaling, size."""
    vit = {"patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 1, "num_classes": 0}
    yield "timm_vit", "vit_small_patch8_32", vision_transformer.VisionTransformer(img_size=32, **vit), HALVES, 32
    registers = {"reg_tokens": 2, "no_embed_class": True, "init_values": 1.0}
    yield "timm_dinov2", "vit_small_patch8_reg2_dinov2", vision_transformer.VisionTransformer(img_size=32, **vit, **registers), IMAGENET, 32
    yield "timm_convnext", "convnext_zepto", convnext.ConvNeXt(depths=(1, 1, 2, 1), dims=(4, 6, 8, 10), num_classes=0), IMAGENET, 40
    conv = convnext.ConvNeXt(depths=(1, 1, 1, 1), dims=(4, 6, 8, 10), conv_mlp=True, num_classes=0)
    yield "timm_convnext_convolved", "convnext_atto", conv, IMAGENET, 40
    grouped = resnet.ResNet(resnet.Bottleneck, [1, 1, 1, 1], cardinality=2, base_width=4, num_classes=0)
    yield "timm_resnext", "resnext14_2x4d", grouped, IMAGENET, 45
    for name in ("mobilenetv3_small_050", "tf_mobilenetv3_large_075", "efficientnet_b0", "tf_efficientnet_b0", "tf_efficientnet_lite0"):
        model = timm.create_model(name, pretrained=False, num_classes=0)
        cfg = model.pretrained_cfg
        yield name, name, model, (list(cfg["mean"]), list(cfg["std"])), 45


def transformers_models():
    """Name, network, scaling, size, and what gives its features."""
    first, pooled = (lambda out: out.last_hidden_state[:, 0]), (lambda out: out.pooler_output)
    yield "vit", transformers.ViTModel(transformers.ViTConfig(**SMALL, intermediate_size=24)), HALVES, 32, first
    yield "deit", transformers.DeiTModel(transformers.DeiTConfig(**SMALL, intermediate_size=24)), IMAGENET, 32, first
    yield "dinov2", transformers.Dinov2Model(transformers.Dinov2Config(**SMALL, mlp_ratio=2)), IMAGENET, 32, pooled
    registers = transformers.Dinov2WithRegistersConfig(**SMALL, mlp_ratio=2)
    yield "dinov2_with_registers", transformers.Dinov2WithRegistersModel(registers), IMAGENET, 32, pooled
    yield "convnext", transformers.ConvNextModel(transformers.ConvNextConfig(**STAGES)), IMAGENET, 40, pooled


def published(name, model, config, scaling, size, features, saved):
    """The entry of one network; `saved` are the names in its published files, by the name in memory."""
    state = {key: torch.tensor(array_of(saved[key], tuple(value.shape))) for key, value in model.state_dict().items() if key in saved}
    missing = model.load_state_dict(state, strict=False)
    assert not missing.unexpected_keys
    assert all("num_batches" in key or "relative" in key for key in missing.missing_keys), missing
    mean, deviation = (torch.tensor(one, dtype=torch.float32)[None, :, None, None] for one in scaling)
    pixels = torch.tensor(image_of(size)).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        values = features(model.eval()((pixels - mean) / deviation)).numpy()
    shapes = {saved[key]: list(value.shape) for key, value in model.state_dict().items() if key in saved}
    return {"config": config, "size": size, "shapes": shapes, "features": np.round(values[0, :8].astype(float), 5).tolist()}


def main():
    entries = {}
    for name, architecture, model, scaling, size in timm_models():
        saved = {key: key for key in model.state_dict() if "num_batches" not in key}
        config = {"architecture": architecture, "pretrained_cfg": {"mean": scaling[0], "std": scaling[1]}}
        entries[name] = published(name, model, config, scaling, size, lambda out: out, saved)
    for name, model, scaling, size, features in transformers_models():
        saved = names_in_files(model)
        entries[name] = published(name, model, model.config.to_diff_dict(), scaling, size, features, saved)
    Path(__file__).with_name("published.json").write_text(json.dumps(entries, separators=(",", ":")) + "\n", encoding="utf-8")


def names_in_files(model):
    """The names that `save_pretrained` writes, by the name in memory: told apart by filling each array with its number."""
    import tempfile

    from safetensors.numpy import load_file

    keys = list(model.state_dict())
    numbered = {key: torch.full_like(value, number) for number, (key, value) in enumerate(model.state_dict().items())}
    model.load_state_dict(numbered)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        stored = load_file(f"{folder}/model.safetensors")
    return {keys[round(float(values.ravel()[0]))]: name for name, values in stored.items()}


if __name__ == "__main__":
    main()
