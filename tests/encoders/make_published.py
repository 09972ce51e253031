"""Writes published.json: names and shapes of small networks as timm and Transformers have them, and the features they give.

    python tests/encoders/make_published.py

needs torch, timm, transformers and open_clip, which no test does. Arrays follow from their names, so that tests make the same ones. Made
with torch 2.13.0, timm 1.0.31 and transformers 5.18.0; CLIP, SigLIP and DINOv3 with torch 2.14.1 and transformers 5.24.0; OpenCLIP with
open_clip 3.3.0; SigLIP 2 with torch 2.13.0 and transformers 5.24.0.
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
TOWER = {"num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24, "vocab_size": 30, "max_position_embeddings": 8}
TEXTS = {"clip": [[28, 5, 9, 4, 29], [28, 29], [28, 1, 2, 3, 5, 6, 7, 29]], "siglip": [[5, 9, 4, 1], [1], [2, 3, 4, 5, 6, 7, 8, 1]]}
"""Ids of texts without padding, the special pieces included."""
CLIP_SCALING = ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711])
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
    rotated = {**SMALL, "num_register_tokens": 2, "intermediate_size": 24}
    yield "dinov3", transformers.DINOv3ViTModel(transformers.DINOv3ViTConfig(**rotated)), IMAGENET, (32, 40), pooled
    gated = transformers.DINOv3ViTConfig(**rotated, use_gated_mlp=True, hidden_act="silu", num_channels=3)
    yield "dinov3_gated", transformers.DINOv3ViTModel(gated), IMAGENET, (32, 40), pooled
    yield "convnext", transformers.ConvNextModel(transformers.ConvNextConfig(**STAGES)), IMAGENET, 40, pooled


def towers():
    """Name, network of two towers, scaling, and length that texts are padded to, by which piece."""
    clip = {**TOWER, "hidden_size": 12, "eos_token_id": 29, "bos_token_id": 28, "pad_token_id": 29}
    config = transformers.CLIPConfig(text_config=clip, vision_config={**SMALL, "intermediate_size": 24}, projection_dim=10)
    yield "clip", transformers.CLIPModel(config), CLIP_SCALING, 8, 29
    siglip = {**TOWER, "hidden_size": 16, "eos_token_id": 1, "bos_token_id": 0, "pad_token_id": 1}
    config = transformers.SiglipConfig(text_config=siglip, vision_config={**SMALL, "intermediate_size": 24})
    yield "siglip", transformers.SiglipModel(config), HALVES, 8, 1
    vision = {**SMALL, "intermediate_size": 24, "num_patches": 25}
    yield "siglip2", transformers.Siglip2Model(transformers.Siglip2Config(text_config=siglip, vision_config=vision)), HALVES, 8, 1


def published_towers(name, model, scaling, length, padding):
    """The entry of a network of two towers: that of its image tower, texts, and the vectors of their text tower."""
    config = json.loads(model.config.to_json_string())
    features = lambda out: out.pooler_output  # noqa: E731
    model.forward = lambda pixels: model.get_image_features(**(patches_of(pixels) if name == "siglip2" else {"pixel_values": pixels}))
    # Four rows of six patches: fewer than the positions of one side, and more than those of the other.
    entry = published(name, model, config, scaling, (32, 48) if name == "siglip2" else 32, features, names_in_files(model))
    texts = TEXTS[name.removesuffix("2")]
    ids = torch.tensor([[*text, *[padding] * (length - len(text))] for text in texts])
    with torch.no_grad():
        vectors = features(model.get_text_features(input_ids=ids)).numpy()
    return entry | {"texts": texts, "text_features": np.round(vectors[:, :8].astype(float), 5).tolist()}


def patches_of(pixels):
    """Return (1, 3, height, width) as the image processor of SigLIP 2 does: rows of patches, none of them padding."""
    side = SMALL["patch_size"]
    rows, columns = pixels.shape[2] // side, pixels.shape[3] // side
    patches = pixels[0].permute(1, 2, 0).reshape(rows, side, columns, side, 3).permute(0, 2, 1, 3, 4).reshape(1, rows * columns, -1)
    return {
        "pixel_values": patches,
        "pixel_attention_mask": torch.ones(1, rows * columns),
        "spatial_shapes": torch.tensor([[rows, columns]]),
    }


def open_clip_towers():
    """Name, network, and open_clip_config.json: with the text tower among the image tower's neighbours, and apart."""
    from open_clip.model import CLIP, CustomTextCLIP

    vision = {"image_size": 32, "layers": 2, "width": 16, "patch_size": 8, "head_width": 8}
    text = {"context_length": 8, "vocab_size": 30, "width": 12, "heads": 2, "layers": 2}
    model = {"embed_dim": 10, "vision_cfg": vision, "text_cfg": text}
    preprocess = {"mean": CLIP_SCALING[0], "std": CLIP_SCALING[1]}
    yield "open_clip", CLIP(**model), {"model_cfg": model, "preprocess_cfg": preprocess}
    model = {**model, "quick_gelu": True}
    yield "open_clip_apart", CustomTextCLIP(**model), {"model_cfg": model, "preprocess_cfg": preprocess}


def published_open_clip(name, model, config):
    """The entry of a network of OpenCLIP, as that of other towers; its texts are padded with 0."""
    saved = {key: key for key in model.state_dict()}
    model.forward = model.encode_image
    entry = published(name, model, {}, CLIP_SCALING, 32, lambda out: out, saved)
    ids = torch.tensor([[*text, *[0] * (8 - len(text))] for text in TEXTS["clip"]])
    with torch.no_grad():
        vectors = model.encode_text(ids).numpy()
    features = np.round(vectors[:, :8].astype(float), 5).tolist()
    return entry | {"open_clip": config, "texts": TEXTS["clip"], "text_features": features}


def published(name, model, config, scaling, size, features, saved):
    """The entry of one network; `saved` are the names in its published files, by the name in memory. `size` may be height and width."""
    height, width = size if isinstance(size, tuple) else (size, size)
    state = {key: torch.tensor(array_of(saved[key], tuple(value.shape))) for key, value in model.state_dict().items() if key in saved}
    missing = model.load_state_dict(state, strict=False)
    assert not missing.unexpected_keys
    assert all("num_batches" in key or "relative" in key for key in missing.missing_keys), missing
    mean, deviation = (torch.tensor(one, dtype=torch.float32)[None, :, None, None] for one in scaling)
    pixels = torch.tensor(image_of(width)[:, :height]).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        values = features(model.eval()((pixels - mean) / deviation)).numpy()
    shapes = {saved[key]: list(value.shape) for key, value in model.state_dict().items() if key in saved}
    size = {"size": width} | ({"height": height} if height != width else {})
    return {"config": config, **size, "shapes": shapes, "features": np.round(values[0, :8].astype(float), 5).tolist()}


def main():
    entries = {}
    for name, architecture, model, scaling, size in timm_models():
        saved = {key: key for key in model.state_dict() if "num_batches" not in key}
        config = {"architecture": architecture, "pretrained_cfg": {"mean": scaling[0], "std": scaling[1]}}
        entries[name] = published(name, model, config, scaling, size, lambda out: out, saved)
    for name, model, scaling, size, features in transformers_models():
        saved = names_in_files(model)
        entries[name] = published(name, model, model.config.to_diff_dict(), scaling, size, features, saved)
    for name, model, scaling, length, padding in towers():
        entries[name] = published_towers(name, model, scaling, length, padding)
    for name, model, config in open_clip_towers():
        entries[name] = published_open_clip(name, model, config)
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
