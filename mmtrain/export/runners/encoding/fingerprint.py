"""FarmHash's Fingerprint64, by which texts fall into buckets."""

MASK_64 = 2**64 - 1
K0, K1, K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F
"""Constants of FarmHash (Google 2014)."""


def fingerprint(text: bytes) -> int:
    """Return FarmHash's Fingerprint64 of bytes."""
    size = len(text)
    if size <= 16:
        return _short(text, size)
    if size <= 32:
        factor = (K2 + size * 2) & MASK_64
        a, b = _word(text, 0) * K1 & MASK_64, _word(text, 8)
        c, d = _word(text, -8) * factor & MASK_64, _word(text, -16) * K2 & MASK_64
        return _mix(_turn(a + b, 43) + _turn(c, 30) + d, a + _turn(b + K2, 18) + c, factor)
    if size <= 64:
        return _medium(text, size)
    return _long(text, size)


def _short(text: bytes, size: int) -> int:
    if size >= 8:
        factor = (K2 + size * 2) & MASK_64
        a, b = (_word(text, 0) + K2) & MASK_64, _word(text, -8)
        c, d = (_turn(b, 37) * factor + a) & MASK_64, (_turn(a, 25) + b) * factor & MASK_64
        return _mix(c, d, factor)
    if size >= 4:
        factor = (K2 + size * 2) & MASK_64
        return _mix(size + (_half(text, 0) << 3), _half(text, -4), factor)
    if size > 0:
        y, z = text[0] + (text[size >> 1] << 8), size + (text[-1] << 2)
        return _shifted(y * K2 ^ z * K0) * K2 & MASK_64
    return K2


def _medium(text: bytes, size: int) -> int:
    factor = (K2 + size * 2) & MASK_64
    a, b = _word(text, 0) * K2 & MASK_64, _word(text, 8)
    c, d = _word(text, -8) * factor & MASK_64, _word(text, -16) * K2 & MASK_64
    y = (_turn(a + b, 43) + _turn(c, 30) + d) & MASK_64
    z = _mix(y, a + _turn(b + K2, 18) + c, factor)
    e, f = _word(text, 16) * factor & MASK_64, _word(text, 24)
    g, h = (y + _word(text, -32)) * factor & MASK_64, (z + _word(text, -24)) * factor & MASK_64
    return _mix(_turn(e + f, 43) + _turn(g, 30) + h, e + _turn(f + a, 18) + g, factor)


def _long(text: bytes, size: int) -> int:
    seed = 81
    x, y = seed, (seed * K1 + 113) & MASK_64
    z = _shifted(y * K2 + 113) * K2 & MASK_64
    v, w = (0, 0), (0, 0)
    x = (x * K2 + _word(text, 0)) & MASK_64
    end, last = (size - 1) // 64 * 64, size - 64
    for at in range(0, end, 64):
        x = _turn(x + y + v[0] + _word(text, at + 8), 37) * K1 & MASK_64
        y = _turn(y + v[1] + _word(text, at + 48), 42) * K1 & MASK_64
        x ^= w[1]
        y = (y + v[0] + _word(text, at + 40)) & MASK_64
        z = _turn(z + w[0], 33) * K1 & MASK_64
        v = _weak(text, at, v[1] * K1, x + w[0])
        w = _weak(text, at + 32, z + w[1], y + _word(text, at + 16))
        z, x = x, z
    factor = (K1 + ((z & 0xFF) << 1)) & MASK_64
    w = ((w[0] + ((size - 1) & 63)) & MASK_64, w[1])
    v = ((v[0] + w[0]) & MASK_64, v[1])
    w = ((w[0] + v[0]) & MASK_64, w[1])
    x = _turn(x + y + v[0] + _word(text, last + 8), 37) * factor & MASK_64
    y = _turn(y + v[1] + _word(text, last + 48), 42) * factor & MASK_64
    x ^= w[1] * 9 & MASK_64
    y = (y + v[0] * 9 + _word(text, last + 40)) & MASK_64
    z = _turn(z + w[0], 33) * factor & MASK_64
    v = _weak(text, last, v[1] * factor, x + w[0])
    w = _weak(text, last + 32, z + w[1], y + _word(text, last + 16))
    z, x = x, z
    first = _mix(v[0], w[0], factor) + _shifted(y) * K0 + z
    return _mix(first, _mix(v[1], w[1], factor) + x, factor)


def _weak(text: bytes, at: int, a: int, b: int) -> tuple[int, int]:
    first, second, third, fourth = (_word(text, at + 8 * number) for number in range(4))
    a = (a + first) & MASK_64
    b = _turn(b + a + fourth, 21)
    before = a
    a = (a + second + third) & MASK_64
    b = (b + _turn(a, 44)) & MASK_64
    return (a + fourth) & MASK_64, (b + before) & MASK_64


def _mix(u: int, v: int, factor: int) -> int:
    a = _shifted(((u & MASK_64) ^ (v & MASK_64)) * factor, 47)
    return _shifted(((v & MASK_64) ^ a) * factor, 47) * factor & MASK_64


def _shifted(value: int, bits: int = 47) -> int:
    value &= MASK_64
    return value ^ value >> bits


def _turn(value: int, bits: int) -> int:
    value &= MASK_64
    return (value >> bits | value << 64 - bits) & MASK_64


def _word(text: bytes, at: int) -> int:
    at = at if at >= 0 else len(text) + at
    return int.from_bytes(text[at : at + 8], "little")


def _half(text: bytes, at: int) -> int:
    at = at if at >= 0 else len(text) + at
    return int.from_bytes(text[at : at + 4], "little")
