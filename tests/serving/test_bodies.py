"""Bodies of requests that arrive late, break off or hold no rows, and requests without a key: the refusal says what to do."""

import asyncio
from types import SimpleNamespace

import pytest
from starlette.requests import ClientDisconnect

from mmtrain.serving.http.access import Access
from mmtrain.serving.http.bodies import json_rows, read_body
from mmtrain.serving.refused import Refused
from mmtrain.serving.served_model import Limits


async def late():
    yield b"{"
    await asyncio.sleep(5)


async def broken():
    yield b"{"
    raise ClientDisconnect


@pytest.mark.parametrize(
    ("stream", "status", "message"),
    [
        (late, 408, "the body did not arrive within 0.01 seconds. Send it faster, or less at once."),
        (broken, 400, "the body broke off. Send it whole."),
    ],
)
def test_a_body_that_does_not_arrive_whole_is_refused(stream, status, message):
    with pytest.raises(Refused) as refused:
        asyncio.run(read_body(SimpleNamespace(headers={}, stream=stream), Limits(seconds=0.01)))
    assert (refused.value.status, str(refused.value)) == (status, message)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (5, 'the document holds no rows. Send {"rows": [{...}]}, a list of objects, or one object.'),
        ([{}, 5], "row 1 is not an object. Send each row as an object with a key per column."),
    ],
)
def test_a_document_without_rows_is_refused(document, message):
    with pytest.raises(Refused) as refused:
        json_rows(document)
    assert (refused.value.status, str(refused.value)) == (400, message)


def test_a_request_without_the_key_is_told_where_to_send_it():
    with pytest.raises(Refused) as refused:
        Access("secret").check(SimpleNamespace(headers={}, client=None))
    sentence = "the request has no valid API key. Send it in the header X-API-Key, or as `Authorization: Bearer KEY`."
    assert (refused.value.status, str(refused.value)) == (401, sentence)
