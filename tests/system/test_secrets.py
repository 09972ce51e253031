"""Secrets of addresses: the masked form has none of them, stays the same when it is masked again, and tells files apart."""

import json
import os

import pytest

from mmtrain.system.remote import address_of, local_path, secrets
from mmtrain.system.remote.secrets import VARIABLE, forget, is_masked, masked, remember, whole

WORD = "planted"


@pytest.fixture(autouse=True)
def new_process(monkeypatch):
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.setattr(secrets, "_whole", {})


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (f"https://b.s3.amazonaws.com/t.csv?X-Amz-Credential={WORD}&X-Amz-Expires=9&X-Amz-Signature={WORD}", "?signature=left-out"),
        (f"https://host/t.csv?versionId=7&X-Amz-Signature={WORD}", "?versionId=7&signature=left-out"),
        (f"https://host/t.csv?Expires=17&Signature={WORD}&Key-Pair-Id={WORD}", "?signature=left-out"),
        (f"https://a.blob.core.windows.net/c/t.csv?sv=2024-01-01&st=x&se=y&sr=b&sp=r&sig={WORD}%3D", "?signature=left-out"),
        (f"https://host/t.csv?GoogleAccessId={WORD}&Expires=1&Signature={WORD}", "?signature=left-out"),
        (f"https://host/t.csv?alt=media&token={WORD}", "?alt=media&token=left-out-"),
        (f"https://host/t.csv?Access_Token={WORD}&api-key={WORD}", "?Access_Token=left-out-"),
        (f"https://me:{WORD}@host/t.csv", "https://me@host/t.csv"),
        (f"ftp://me:{WORD}@host/t.csv?x=1", "ftp://me@host/t.csv?x=1"),
        (f"abfss://:{WORD}@account.dfs.core.windows.net/c/t.csv", "abfss://account.dfs"),
    ],
)
def test_a_masked_address_has_no_secret_and_stays_the_same(address, expected):
    found = remember(address, inherited=False)
    assert expected in found
    assert WORD not in found
    assert masked(found) == found
    assert whole(found) == address
    assert WORD not in str(local_path(address))
    assert address_of(local_path(address)) == found
    # As `pathlib` writes it.
    assert local_path(address.replace("://", ":/")) == local_path(address)


@pytest.mark.parametrize(
    "address",
    ["https://host/t.csv?size=big&sp=1&expires=never", "s3://bucket/t.csv?anonymous=true", "gs://anonymous@bucket/t", "memory://t?token=1"],
)
def test_an_address_without_a_secret_stays_as_it_is(address):
    assert masked(address) == address
    assert whole(address) == address
    assert os.environ[VARIABLE] == ""


def test_addresses_of_two_tokens_are_two_files():
    one, other = (remember(f"https://host/download?token={name}", inherited=False) for name in "ab")
    assert one != other
    assert (whole(one), whole(other)) == ("https://host/download?token=a", "https://host/download?token=b")
    assert is_masked(one)


def test_an_address_that_is_signed_again_is_the_same():
    first, second = (remember(f"https://host/t.csv?X-Amz-Date={day}&X-Amz-Signature={day}", inherited=False) for day in (1, 2))
    assert first == second
    assert whole(first).endswith("Signature=2")


def test_workers_know_what_their_parent_was_told_of_tables_and_not_of_images(monkeypatch):
    table, image = f"https://host/t.csv?sig={WORD}", f"https://host/1.png?sig={WORD}"
    local_path(table)
    local_path(image, inherited=False)
    assert list(json.loads(os.environ[VARIABLE]).values()) == [table]
    monkeypatch.setattr(secrets, "_whole", {})
    assert (whole(masked(table)), whole(masked(image))) == (table, "")


def test_the_secret_of_a_fetched_file_is_forgotten():
    address = remember(f"https://host/1.png?sig={WORD}", inherited=False)
    forget(address)
    assert whole(address) == ""
