"""Bytes as a broken disk, a cut transfer or a hostile hand leaves them."""

from hypothesis import strategies as st

KINDS = ("set", "set", "set", "extreme", "swap", "cut", "insert", "drop", "repeat")
EXTREMES = (b"\xff" * 4, b"\x7f\xff\xff\xff", bytes(4), b"\0\0\0\1")


@st.composite
def damaged(draw: st.DrawFn, honest: bytes) -> bytes:
    """*honest* with one to six stretches of it overwritten, moved, left out, repeated or cut off."""
    data = bytearray(honest)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(data)))
        match draw(st.sampled_from(KINDS)):
            case "set":
                patch = draw(st.binary(min_size=1, max_size=8))
                data[at : at + len(patch)] = patch
            case "extreme":
                data[at : at + 4] = draw(st.sampled_from(EXTREMES))
            case "swap":
                other = draw(st.integers(0, len(data)))
                data[at : at + 512] = data[other : other + 512]
            case "cut":
                if draw(st.booleans()):  # what is cut off can't be damaged in any other way
                    del data[at:]
            case "insert":
                data[at:at] = draw(st.binary(max_size=40))
            case "drop":
                del data[at : at + draw(st.integers(1, 64))]
            case _:
                data[at:at] = data[at : at + draw(st.integers(1, 200))]
    return bytes(data)
