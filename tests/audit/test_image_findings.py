"""What `inspect-data` finds wrong with images: every planted fault, and nothing in clean ones."""

import csv
import json
import os
import shutil
import struct
import zlib
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from PIL import Image as Pillow
from PIL import ImageEnhance

from mmtrain.audit.finding import Finding
from mmtrain.audit.images.checks import image_findings
from mmtrain.audit.images.image_column import ImageColumn
from mmtrain.audit.images.image_fingerprints import Pixels, fingerprint_images
from mmtrain.audit.images.near_duplicates import NEIGHBOURS, are_near_duplicates, connected_sets, equal_pixels, similar_pairs
from mmtrain.audit.label_index import LabelIndex
from mmtrain.audit.row_metadata import RowMetadata
from mmtrain.audit.target_view import BinaryTargetView, TargetView
from mmtrain.cli.app import run
from mmtrain.columns import Image
from mmtrain.config.experiment import Cache
from mmtrain.config.image_folder import ImageFolder
from mmtrain.data.images.on_the_fly import OnTheFlyImages
from mmtrain.data.images.prefetch import StoredImages
from mmtrain.data.images.store import open_store
from mmtrain.errors import RunError
from mmtrain.image_decoding import Layout

N = 60
SIDE = 48
TRAIN, VALIDATION, TEST = 0, 1, 2


def scene(number, mode="RGB"):
    """Soft shapes that are another image for every number."""
    few = np.random.default_rng(number).integers(30, 226, (6, 6, 3), dtype=np.uint8)
    return Pillow.fromarray(few).resize((SIDE, SIDE), Pillow.Resampling.BICUBIC).convert(mode)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Sixty different images, painted once."""
    folder = tmp_path_factory.mktemp("scenes")
    for number in range(N):
        scene(number).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def clean(scenes, tmp_path):
    """Sixty different images."""
    return shutil.copytree(scenes, tmp_path, dirs_exist_ok=True)


def column_of(folder, names, *, header="scan", cache=None, **options):
    cells = pd.Series(names, dtype="str")
    column = Image.model_validate({"role": "image", "size": [32, 32]} | options)
    store, unreadable = open_store(cells, column.image_cells, ImageFolder(folder), cache=cache or Cache())
    return ImageColumn(header, cells, np.arange(len(names)), column, store, unreadable)


def cohort_of(count, *, parts=None, labels=None, groups=None):
    """By default every third row is of another part; other arguments are by row, too."""
    default = np.arange(count) % 3
    codes = np.array(labels, dtype=np.int64) if labels is not None else None
    targets = () if codes is None else (LabelIndex("state", ("well", "ill"), codes >= 0, np.arange(count), codes),)
    groups = None if groups is None else np.array(groups, dtype=np.int64)
    return RowMetadata(count, default if parts is None else np.array(parts), groups=groups, targets=targets)


def asked_of(cohort):
    """The classes of the cohort as a question."""
    rows = cohort.for_answers
    return [TargetView(one.header, (BinaryTargetView(rows, one.label[rows], one.names),)) for one in cohort.targets]


def found(folder, names=None, cohort=None, **options):
    names = [f"{number}.png" for number in range(N)] if names is None else names
    cohort = cohort or cohort_of(len(names))
    return image_findings([column_of(folder, names, **options)], ImageFolder(folder), cohort, asked_of(cohort))


def only(findings) -> Finding:
    assert len(findings) == 1, findings
    return findings[0]


def shown(finding):
    return finding.level, finding.kind, finding.what, finding.rows, finding.files, finding.count


def test_clean_images_give_no_finding(clean):
    assert found(clean, cohort=cohort_of(N, labels=np.arange(N) % 2, groups=np.arange(N))) == []


# ---- files


def truncated(path):
    path.write_bytes(path.read_bytes()[:-30])


def huge(path):
    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b""))


def turned(path):
    exif = Pillow.Exif()
    exif[0x0112] = 6
    scene(5).save(path, exif=exif)


BROKEN = {
    "missing_files": (
        lambda path: path.unlink(),
        "1 different cell leads to no file; the file 5.png does not exist.",
        "Without an image `fit` refuses the table, and where images are missing may depend on the label.",
        "Restore the files, or correct the cells.",
    ),
    "empty_files": (
        lambda path: path.write_bytes(b""),
        "1 file has not a single byte.",
        "Such a file cannot be used: `fit` refuses the table.",
        "Copy or download it again.",
    ),
    "truncated_files": (
        truncated,
        "1 file is cut short.",
        "Such a file cannot be used: `fit` refuses the table.",
        "Copy or download it again, whole.",
    ),
    "oversized_images": (
        huge,
        "1 file has more pixels than `max_pixels` allows.",
        "Such a file cannot be used: `fit` refuses the table.",
        "Make it smaller, or raise `max_pixels` if the size is intended.",
    ),
    "undecodable_files": (
        lambda path: path.write_text("to be scanned"),
        "1 file cannot be decoded. The first, 5.png: The file is not an image.",
        "Such a file cannot be used: `fit` refuses the table.",
        "Open it in a program for such files and save it again, or leave its rows out.",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_file_without_a_image_is_found(clean, kind):
    spoil, *texts = BROKEN[kind]
    spoil(clean / "5.png")
    assert only(found(clean)) == Finding("error", kind, "scan", *texts, rows=(5,), files=("5.png",), count=1)


def test_a_row_that_can_do_without_its_image_makes_it_a_warning(clean):
    truncated(clean / "5.png")
    assert [(one.level, one.why) for one in found(clean, missing="mask")] == [
        ("warning", "Such a file cannot be used: the network sees none in these rows.")
    ]
    assert [(one.level, one.why) for one in found(clean, missing="drop")] == [
        ("warning", "Such a file cannot be used: these rows are left out.")
    ]


def saved(**options):
    return lambda path: scene(5).save(path, **options)


def deep(path):
    Pillow.fromarray(np.asarray(scene(5, "L")).astype(np.uint16) * 257).save(path)


KINDS = {
    "wrong_extension": (saved(format="JPEG"), "note", "1 file is not of the format in the name: 1 JPEG named .png."),
    "mixed_sizes": (
        lambda path: scene(5).resize((60, 40)).save(path),
        "note",
        "images have 2 different sizes, from 48 x 48 to 40 x 60 (height x width).",
    ),
    "mixed_modes": (lambda path: scene(5, "L").save(path), "note", "images have different modes: RGB 59 and L 1."),
    "exif_rotation": (turned, "note", "1 image is turned or mirrored by EXIF."),
    "constant_images": (
        lambda path: Pillow.new("RGB", (SIDE, SIDE), (9, 80, 20)).save(path),
        "warning",
        "1 image shows one colour or nearly so, 1 of them exactly one.",
    ),
    "brightness_outliers": (
        lambda path: ImageEnhance.Brightness(scene(5)).enhance(0.1).save(path),
        "note",
        "1 image is far from the usual brightness, 1 darker and 0 brighter; the middle half lies between 121 and 130 of 255.",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_unlike_the_others_is_found(clean, kind):
    change, level, what = KINDS[kind]
    change(clean / "5.png")
    assert shown(only(found(clean))) == (level, kind, what, (5,), ("5.png",), 1)


def test_mixed_depths_are_a_warning_where_some_have_16_bits(tmp_path):
    for number in range(N):
        scene(number, "L").save(tmp_path / f"{number}.png")
    deep(tmp_path / "5.png")
    modes, depths = found(tmp_path, channels=1, bits=16)
    assert (modes.kind, modes.level) == ("mixed_modes", "note")
    assert shown(depths)[:3] == ("warning", "mixed_bit_depths", "images have different bits per sample: 8 bits 59 and 16 bits 1.")
    scene(5, "1").save(tmp_path / "5.png")
    assert [(one.level, one.kind) for one in found(tmp_path, channels=1)] == [("note", "mixed_modes"), ("note", "mixed_bit_depths")]


def test_what_no_usable_image_has_is_not_counted_among_the_modes(clean):
    Pillow.fromarray(np.arange(SIDE * SIDE, dtype=np.uint16).reshape(SIDE, SIDE)).save(clean / "5.png")
    scene(6).convert("L").save(clean / "6.png")
    told = {finding.kind: finding.what for finding in found(clean)}
    assert set(told) == {"undecodable_files", "mixed_modes"}
    assert told["mixed_modes"] == "images have different modes: RGB 58 and L 1."


def test_images_that_lose_their_proportions_are_told(clean):
    scene(5).resize((60, 40)).save(clean / "5.png")
    stretched, cut = only(found(clean)), only(found(clean, resize="crop"))
    assert stretched.why.startswith("All are stretched to 32 x 32, which changes their proportions.")
    assert stretched.fix == "To keep proportions, set `resize: pad` or `resize: crop`. Check whether the size is associated with the label."
    assert cut.fix == "Check whether the size is associated with the label."


@pytest.mark.parametrize("noise", [0, 1])
def test_nearly_constant_images_are_no_twins(clean, noise):
    for number in (3, 4, 5):
        pixels = np.full((SIDE, SIDE, 3), 100) + np.random.default_rng(number).integers(0, noise + 1, (SIDE, SIDE, 3))
        Pillow.fromarray(pixels.astype(np.uint8)).save(clean / f"{number}.png")
    assert shown(only(found(clean)))[1:] == (
        "constant_images",
        f"3 images show one colour or nearly so{', 3 of them exactly one.' if not noise else '.'}",
        (3, 4, 5),
        ("3.png", "4.png", "5.png"),
        3,
    )


def test_colours_of_the_same_brightness_are_not_constant(clean):
    pixels = np.zeros((SIDE, SIDE, 3), dtype=np.uint8)
    pixels[:, :24], pixels[:, 24:] = (150, 100, 50), (100, 121, 80)  # luma 109 both
    Pillow.fromarray(pixels).save(clean / "5.png")
    assert found(clean) == []


def test_modes_that_go_with_the_label_are_told(clean):
    for number in range(0, N, 2):
        scene(number, "L").save(clean / f"{number}.png")
    cohort = cohort_of(N, labels=np.arange(N) % 2)
    told = {one.kind: one for one in found(clean, cohort=cohort)}
    assert list(told) == ["mixed_modes", "file_kind_tells_label"]
    finding = told["file_kind_tells_label"]
    assert (finding.level, finding.what, finding.count) == (
        "warning",
        "the mode of an image is associated with 'state': 100% of 'well' and 0% of 'ill' have mode L.",
        40,  # those of the test part are not looked at
    )


GREY = np.arange(N) % 2 == 0
NUMBERS = np.where(GREY, 1.0, 3.0) + np.arange(N) / 100
RED, BLUE = (1 - GREY).astype(np.int8), (np.arange(N) % 3 > 0).astype(np.int8)
KIND_OF = {
    "a label": (
        TargetView("tags", (BinaryTargetView(np.arange(N), BLUE, ("blue",)), BinaryTargetView(np.arange(N), RED, ("red",))), labels=2),
        "1 of the 2 labels of 'tags': 100% of 'red' and 0% of the others have mode L.",
    ),
    "a number": (
        TargetView("dose", (BinaryTargetView(np.arange(N), numbers=NUMBERS),)),
        "'dose': the median answer of those that have mode L is 1.29, and 3.3 elsewhere.",
    ),
}


@pytest.mark.parametrize("answer", KIND_OF)
def test_modes_that_go_with_any_answer_are_told(clean, answer):
    for number in range(0, N, 2):
        scene(number, "L").save(clean / f"{number}.png")
    question, told = KIND_OF[answer]
    finding = image_findings([column_of(clean, NAMES)], ImageFolder(clean), cohort_of(N), [question])[1]
    assert (finding.level, finding.kind) == ("warning", "file_kind_tells_label")
    assert finding.what == f"the mode of an image is associated with {told}"


@pytest.mark.parametrize(("measure", "side", "level"), [("size", 2, 0), ("brightness", 0, 2)])
def test_a_number_that_sizes_or_brightness_foretell_is_told(clean, measure, side, level):
    for number in range(N):
        image = ImageEnhance.Brightness(scene(number)).enhance(0.1 + level * number / N if level else 1)
        image.resize((SIDE + side * number, SIDE)).save(clean / f"{number}.png")
    question = TargetView("dose", (BinaryTargetView(np.arange(N), numbers=np.arange(N) + 0.5),))
    told = {one.kind: one for one in image_findings([column_of(clean, NAMES)], ImageFolder(clean), cohort_of(N), [question])}
    finding = told["image_tells_label"]
    assert finding.what.startswith(f"the {measure} of an image alone predicts 'dose' ")


def test_kinds_that_go_with_the_groups_alone_are_not_taken_for_the_label(clean):
    for number in range(0, N, 2):
        scene(number, "L").save(clean / f"{number}.png")
    labels = np.arange(N) % 2
    assert [one.kind for one in found(clean, cohort=cohort_of(N, labels=labels, groups=labels))] == ["mixed_modes"]


# ---- the same image twice


def copied(folder):
    shutil.copy(folder / "0.png", folder / "1.png")


def saved_again(folder):
    scene(0).save(folder / "1.png", compress_level=0)


NAMES = [f"{number}.png" for number in range(N)]
SAME = {
    "the same file": (lambda _: None, ["0.png", "0.png", *NAMES[2:]], ("0.png", "0.png"), "0.png"),
    "equal bytes in different files": (copied, NAMES, ("0.png", "1.png"), "0.png and 1.png"),
    "equal pixels in files of other bytes": (saved_again, NAMES, ("0.png", "1.png"), "0.png and 1.png"),
}


@pytest.mark.parametrize("way", SAME)
def test_the_same_image_in_two_parts_is_an_error(clean, way):
    change, names, files, told = SAME[way]
    change(clean)
    finding = only(found(clean, names))
    what = f"1 image is in more than one part (train and validation): 1 {way}; 2 rows in all, for instance {told}."
    assert shown(finding) == ("error", "same_image_across_parts", what, (0, 1), files, 2)
    assert finding.why == "The network is scored on images that it was trained on, so the scores are too good."
    assert finding.fix == "Leave the copies out, or give their rows one value in a `group` column."


PARTS = np.arange(N) % 3
ONE_PART = np.where(np.arange(N) < 2, 0, PARTS)
OTHER_LABELS = np.where(np.arange(N) == 1, 1, 0)
ROWS = {
    "in one part": ({"parts": ONE_PART}, [("note", "same_image_repeated")]),
    "where nothing could be divided": ({"parts": np.full(N, -1)}, [("note", "same_image_repeated")]),
    "with different labels": ({"parts": ONE_PART, "labels": OTHER_LABELS}, [("warning", "same_image_with_different_labels")]),
    "in different groups": ({"parts": ONE_PART, "groups": range(N)}, [("warning", "same_image_in_different_groups")]),
    "in different groups and parts": ({"groups": range(N)}, [("error", "same_image_across_parts")]),
    "in two parts, with different labels": (
        {"labels": OTHER_LABELS},
        [("error", "same_image_across_parts"), ("warning", "same_image_with_different_labels")],
    ),
    "of one group, whatever else": ({"labels": OTHER_LABELS, "groups": np.arange(N) // 2}, [("note", "same_image_repeated")]),
    "with another label in the test part": (
        {"parts": np.where(np.arange(N) < 2, TEST, PARTS), "labels": OTHER_LABELS},
        [("note", "same_image_repeated")],
    ),
}


@pytest.mark.parametrize("rows", ROWS)
def test_what_the_same_image_means_depends_on_its_rows(clean, rows):
    copied(clean)
    cohort, expected = ROWS[rows]
    assert [(one.level, one.kind) for one in found(clean, cohort=cohort_of(N, **cohort))] == expected


def test_the_same_image_with_other_labels_is_told_whatever_the_target_is_called(clean):
    """Both rows have a red and a blue thing on them, but the second a green one, too."""
    shutil.copy(clean / "0.png", clean / "1.png")
    tags = LabelIndex(
        "tags", ("red", "green", "blue"), np.ones(N, np.bool_), np.array([0, 0, 1, 1, 1]), np.array([0, 2, 0, 1, 2]), several=True
    )
    same = LabelIndex("state", ("well",), np.ones(N, np.bool_), np.arange(N), np.zeros(N, np.int64))
    findings = image_findings([column_of(clean, NAMES)], ImageFolder(clean), RowMetadata(N, np.zeros(N, np.int8), targets=(same, tags)))
    assert [one.kind for one in findings] == ["same_image_with_different_labels"]


def test_rows_that_differ_are_the_ones_that_are_named(clean):
    for number in (6, 9, 13):  # three of the training part, one of the validation part
        shutil.copy(clean / "0.png", clean / f"{number}.png")
    finding = only(found(clean))
    assert (finding.rows, finding.files, finding.count) == ((0, 13), ("0.png", "13.png"), 4)


def test_rows_that_left_the_table_are_not_the_ones_that_are_named(clean):
    for number in (3, 4):
        shutil.copy(clean / "0.png", clean / f"{number}.png")
    finding = only(found(clean, cohort=cohort_of(N, parts=np.where(np.arange(N) == 0, -1, PARTS))))
    assert (finding.kind, finding.rows) == ("same_image_across_parts", (3, 4))


def jpeg(quality):
    return lambda image: Pillow.open(BytesIO(encoded(image, quality)))


def encoded(image, quality):
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


CHANGED = {
    "a little brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.1),
    "saved as JPEG": jpeg(60),
    "at half size and back": lambda image: image.resize((24, 24), Pillow.Resampling.BILINEAR).resize((SIDE, SIDE)),
    "with noise": lambda image: Pillow.fromarray(
        (np.asarray(image) + np.random.default_rng(1).normal(0, 3, (SIDE, SIDE, 3))).clip(0, 255).astype(np.uint8)
    ),
}


@pytest.mark.parametrize("change", CHANGED)
def test_a_changed_copy_in_another_part_is_a_warning(clean, change):
    CHANGED[change](scene(0)).save(clean / "1.png")
    finding = only(found(clean))
    what = (
        "1 set of images that look the same is in more than one part (train and validation); 2 rows in all, for instance 0.png and 1.png."
    )
    assert shown(finding) == ("warning", "similar_images_across_parts", what, (0, 1), ("0.png", "1.png"), 2)
    assert finding.why == "If they are copies, saved again or changed a little, the network is scored on what it was trained on."


def test_a_changed_copy_in_the_same_part_is_a_note_and_of_the_same_group_nothing(clean):
    jpeg(60)(scene(0)).save(clean / "1.png")
    finding = only(found(clean, cohort=cohort_of(N, parts=ONE_PART, labels=OTHER_LABELS)))
    assert (finding.level, finding.kind) == ("note", "similar_images")
    assert finding.what == (
        "1 set of images that look the same is in one part, 1 of them with different labels; 2 rows in all, for instance 0.png and 1.png."
    )
    assert found(clean, cohort=cohort_of(N, groups=np.arange(N) // 2)) == []


def with_a_mark(image):
    image.paste((255, 255, 255), (20, 20, 25, 25))
    return image


def in_other_colours(image):
    red, green, blue = image.split()
    return Pillow.merge("RGB", (blue, green, red))


ALIKE = {
    "with a small mark": with_a_mark,
    "in other colours": in_other_colours,
    "mirrored": lambda image: image.transpose(Pillow.Transpose.FLIP_LEFT_RIGHT),
    "inverted": lambda image: Pillow.eval(image, lambda value: 255 - value),
    "much darker": lambda image: Pillow.eval(image, lambda value: value - 30),
}


@pytest.mark.parametrize("change", ALIKE)
def test_what_is_merely_alike_is_no_finding(clean, change):
    ALIKE[change](scene(0)).save(clean / "1.png")
    assert found(clean) == []


def test_copies_of_images_with_transparency_and_of_16_bits_are_found(tmp_path):
    clear, deeper = tmp_path / "clear", tmp_path / "deep"
    for folder in (clear, deeper):
        folder.mkdir()
        for number in range(N):
            soft = scene(number)
            if folder is clear:
                soft.putalpha(scene(number + 1000, "L"))
                soft.save(folder / f"{number}.png")
            else:
                Pillow.fromarray(np.asarray(scene(number, "L")).astype(np.uint16) * 16).save(folder / f"{number}.png")  # 12 of 16 bits
        shutil.copy(folder / "0.png", folder / "1.png")
    assert [one.kind for one in found(clear, channels=4)] == ["same_image_across_parts"]
    assert [one.kind for one in found(deeper, channels=1, bits=16)] == ["same_image_across_parts"]


# ---- several columns


def both(folder, first, second, **second_options):
    columns = [column_of(folder, first, header="front"), column_of(folder, second, header="side", **second_options)]
    return image_findings(columns, ImageFolder(folder), cohort_of(len(first)))


def test_a_image_in_two_columns_of_a_row_is_told_as_such(clean):
    finding = only(both(clean, NAMES[:30], ["0.png", *NAMES[31:]]))
    assert finding == Finding(
        "warning",
        "same_image_in_two_columns",
        "front, side",
        "1 row has the same image in more than one column.",
        "A second branch learns nothing from what the first has seen; or a path was copied into the wrong column.",
        "Correct the cells, or leave one of the columns out.",
        rows=(0, 0),
        files=("0.png", "0.png"),
        count=1,
    )


@pytest.mark.parametrize("size", [[32, 32], [40, 40]])
def test_a_image_of_one_column_is_found_in_another_row_of_the_other(clean, size):
    finding = only(both(clean, NAMES[:30], [NAMES[30], "0.png", *NAMES[32:]], size=size))
    assert (finding.kind, finding.where, finding.rows, finding.files) == (
        "same_image_across_parts",
        "front, side",
        (0, 1),
        ("0.png", "0.png"),
    )


def test_pixels_of_two_columns_are_compared_where_their_layouts_are_the_same(clean):
    scene(0).save(clean / "31.png", compress_level=0)
    assert [one.kind for one in both(clean, NAMES[:30], NAMES[30:])] == ["same_image_across_parts"]
    assert both(clean, NAMES[:30], NAMES[30:], size=[40, 40]) == []


def test_two_columns_of_one_header_are_told_once(clean):
    copied(clean)
    columns = [column_of(clean, NAMES), column_of(clean, NAMES, size=[40, 40])]
    finding = only(image_findings(columns, ImageFolder(clean), cohort_of(N)))
    assert (finding.kind, finding.where, finding.count) == ("same_image_across_parts", "scan", 2)


# ---- where the pixels come from


def test_without_a_store_the_same_is_found(clean):
    copied(clean)
    jpeg(60)(scene(2)).save(clean / "3.png")
    Pillow.new("RGB", (SIDE, SIDE)).save(clean / "5.png")
    truncated(clean / "7.png")
    stored = found(clean)
    assert {one.kind for one in stored} == {
        "constant_images",
        "same_image_across_parts",
        "similar_images_across_parts",
        "truncated_files",
    }
    column = column_of(clean, NAMES, cache=Cache.model_validate({"folder": clean / "none", "disk": "0"}))
    assert isinstance(column.store.pixels, OnTheFlyImages)
    assert image_findings([column], ImageFolder(clean), cohort_of(N)) == stored


def test_without_an_experiment_headers_and_bytes_are_looked_at(clean):
    copied(clean)
    (clean / "4.png").write_bytes(encoded(scene(4), 90))
    (clean / "5.png").write_bytes(encoded(scene(5), 90)[:-2])
    truncated(clean / "6.png")
    (clean / "7.png").write_text("to be scanned")
    (clean / "8.png").unlink()
    column = ImageColumn("scan", pd.Series(NAMES, dtype="str"), np.arange(N))
    findings = image_findings([column], ImageFolder(clean), RowMetadata(N))
    assert [(one.level, one.kind, one.files[:2]) for one in findings] == [
        ("warning", "missing_files", ("8.png",)),
        ("warning", "truncated_files", ("5.png", "6.png")),
        ("warning", "undecodable_files", ("7.png",)),
        ("note", "wrong_extension", ("4.png",)),
        ("note", "same_image_repeated", ("0.png", "1.png")),
    ]
    assert findings[0].why == (
        "Without an image `fit` refuses the table, unless `missing: mask` or `missing: drop` is set, "
        "and where images are missing may depend on the label."
    )


def test_empty_cells_and_rows_that_were_not_read_are_left_alone(clean):
    copied(clean)
    cells = pd.Series(["0.png", None, "1.png", "2.png"], dtype="str")
    column = Image.model_validate({"role": "image", "size": [32, 32], "missing": "mask"})
    store, unreadable = open_store(cells, column.image_cells, ImageFolder(clean), cache=Cache())
    image = ImageColumn("scan", cells, np.array([1, 4, 6, 9]), column, store, unreadable)
    finding = only(image_findings([image], ImageFolder(clean), cohort_of(10, parts=[-1, 0, 0, 0, 0, 0, 1, 0, 0, 0])))
    assert (finding.kind, finding.rows, finding.files) == ("same_image_across_parts", (1, 6), ("0.png", "1.png"))


def test_images_that_change_meanwhile_stop_the_inspection(clean):
    column = column_of(clean, NAMES)
    (clean / "5.png").unlink()
    with pytest.raises(
        RunError, match=r"scan: images have changed while they were inspected. Leave them alone for as long, and start again."
    ):
        image_findings([column], ImageFolder(clean), cohort_of(N))


def test_progress_runs_once_through_the_files_and_once_through_the_pixels(clean):
    told = []
    image_findings([column_of(clean, NAMES)], ImageFolder(clean), cohort_of(N), progress=lambda *numbers: told.append(numbers))
    size = sum(os.path.getsize(clean / name) for name in NAMES)
    assert [(done, total) for done, total, _ in told] == [(16, N), (32, N), (48, N), (N, N), (N, N)]
    assert [told[3][2], told[4][2]] == [size, N * 32 * 32 * 3]


# ---- what it rests on


def test_sets_of_follows_chains():
    pairs = [np.array([[5, 3], [3, 1]]), np.array([[7, 6]]), np.empty((0, 2), dtype=np.int64)]
    assert connected_sets(9, pairs).tolist() == [0, 1, 2, 1, 4, 1, 6, 6, 8]
    assert connected_sets(3, []).tolist() == [0, 1, 2]


def test_looks_of_known_images():
    layout = Layout((32, 32), 3)
    stripes = np.zeros((32, 32, 3), dtype=np.uint8)
    stripes[:, ::8], stripes[:, 4::8] = 200, 40
    grey = np.full((32, 32, 3), 100, dtype=np.uint8)
    found = fingerprint_images(Pixels((StoredImages(np.stack([stripes, grey])),), layout), np.arange(2))
    assert found.brightness.tolist() == pytest.approx([30.0, 100.0])
    assert found.contrast.tolist() == pytest.approx([200.0, 0.0], abs=1e-4)
    assert found.coarse[1].tolist() == [0] * 64


def test_fields_are_of_any_size_and_tell_no_size_apart():
    large = np.asarray(scene(0).resize((224, 160)))[None]
    small = np.asarray(scene(0).resize((20, 28)))[None]
    first, second = (Pixels((StoredImages(one),), Layout(one.shape[1:3], 3)).fields(np.array([0]), samples=4) for one in (large, small))
    assert first.shape == second.shape == (1, 32, 32, 3)
    assert np.abs(first - second).mean() < 6


def test_copies_are_found_among_many_images_that_nearly_share_a_hash():
    random = np.random.default_rng(0)
    common = np.asarray(scene(0).resize((32, 32)), dtype=np.float32)
    images = np.stack([common + np.kron(random.normal(0, 12, (8, 8, 1)), np.ones((4, 4, 3))) for _ in range(400)])
    images = np.concatenate([images, images[:50] + random.normal(0, 2, (50, 32, 32, 3))]).clip(0, 255).astype(np.uint8)
    pixels, positions = Pixels((StoredImages(images),), Layout((32, 32), 3)), np.arange(450)
    pairs = similar_pairs(pixels, fingerprint_images(pixels, positions), positions)
    assert [tuple(pair) for pair in pairs.tolist()] == [(number, number + 400) for number in range(50)]


def test_many_equal_hashes_cost_no_more_than_their_neighbours(clean):
    """All in one set, although each is compared with few others."""
    images = np.repeat(np.asarray(scene(0))[None], 30 * NEIGHBOURS, axis=0)
    images[:, 0, 0, 0] = np.arange(len(images)) % 250
    pixels, positions = Pixels((StoredImages(images),), Layout((SIDE, SIDE), 3)), np.arange(len(images))
    pairs = similar_pairs(pixels, fingerprint_images(pixels, positions), positions)
    assert len(pairs) <= 8 * NEIGHBOURS * len(images)
    assert set(connected_sets(len(images), [pairs]).tolist()) == {0}


def test_equal_pixels_are_told_from_pixels_with_equal_fields():
    images = np.repeat(np.asarray(scene(0).resize((256, 256)))[None], 3, axis=0)
    images[1, 0, 0] ^= 255  # between the pixels that are averaged
    pixels, positions = Pixels((StoredImages(images),), Layout((256, 256), 3)), np.arange(3)
    found = fingerprint_images(pixels, positions)
    assert len(set(found.prints.tolist())) == 1
    assert equal_pixels(pixels, found, positions).tolist() == [[0, 2]]


def test_look_same_wants_the_same_contrast_and_brightness():
    image = np.asarray(scene(0).resize((32, 32)), dtype=np.float32)[None]
    changes = [image, image + 20, image + 30, 1.2 * (image - 128) + 128, 1.4 * (image - 128) + 128]
    assert [bool(are_near_duplicates(image, change)[0]) for change in changes] == [True, True, False, True, False]


# ---- the command


def study(folder):
    rows = [(f"{number}.png", ("train", "test", "validation")[number % 3], "ny"[number % 2]) for number in range(N)]
    with (folder / "t.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("scan", "part", "ill"), *rows])
    path = folder / "study.yaml"
    path.write_text(
        "data: {table: t.csv}\n"
        "columns:\n"
        "  scan: {role: image, size: [32, 32]}\n"
        "  part: {role: split}\n"
        "  ill: {role: target, task: binary, positive: y}\n"
        "split: {method: column}\n"
    )
    return path


def test_the_command_tells_of_images_with_and_without_an_experiment(clean, capsys):
    copied(clean)
    truncated(clean / "5.png")
    path = study(clean)
    told = []
    for source in (path, clean / "t.csv"):
        assert run(["inspect-data", str(source), "--json"]) == 0
        findings = json.loads(capsys.readouterr().out)["findings"]
        told.append([(one["level"], one["kind"], one["rows"]) for one in findings if one["where"] == "scan"])
    assert told[0] == [("error", "truncated_files", [5]), ("error", "same_image_across_parts", [0, 1])]
    assert ("warning", "truncated_files", [5]) in told[1]
    assert run(["inspect-data", str(path), "--strict"]) == 3
    assert "checking images: 60 of 60" in capsys.readouterr().err


def test_images_of_rows_that_leave_the_table_are_looked_at(clean, capsys):
    truncated(clean / "5.png")
    path = study(clean)
    path.write_text(path.read_text().replace("size: [32, 32]", "size: [32, 32], missing: drop"))
    assert run(["inspect-data", str(path), "--json"]) == 0
    findings = [one for one in json.loads(capsys.readouterr().out)["findings"] if one["where"] == "scan"]
    assert [(one["level"], one["kind"], one["files"]) for one in findings] == [("warning", "truncated_files", ["5.png"])]
