"""Paged memory reads what was written, knows what is dirty, and faults outside."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domwarden.embedded.memory import PAGE_BYTES, MemoryFaultError, PagedMemory

SIZE = 4 * PAGE_BYTES
WRITES = st.lists(st.tuples(st.integers(0, SIZE - 1), st.binary(max_size=2 * PAGE_BYTES)))


@given(WRITES)
def test_memory_is_a_bytearray_that_knows_its_dirty_pages(writes):
    memory, plain, dirty = PagedMemory(SIZE), bytearray(SIZE), set()
    for address, data in writes:
        data = data[: SIZE - address]
        memory.write(address, data)
        plain[address : address + len(data)] = data
        dirty |= {at // PAGE_BYTES for at in range(address, address + len(data))}
    assert memory.read(0, SIZE) == plain
    assert memory.take_dirty() == memory.used_pages() == dirty
    assert memory.take_dirty() == set()


@pytest.mark.parametrize(("address", "length"), [(-1, 2), (SIZE - 1, 2), (SIZE, 1)])
def test_access_outside_faults(address, length):
    memory = PagedMemory(SIZE)
    with pytest.raises(MemoryFaultError):
        memory.read(address, length)
    with pytest.raises(MemoryFaultError):
        memory.write(address, bytes(length))


def test_pointer_near_the_end_gets_what_is_there():
    memory = PagedMemory(SIZE)
    assert len(memory.read_upto(SIZE - 3, 8)) == 3
    assert memory.read_upto(SIZE, 8) == b""


@pytest.mark.parametrize("size", [0, -4096, 4095])
def test_memory_is_whole_pages(size):
    with pytest.raises(ValueError, match="whole pages"):
        PagedMemory(size)


def test_cleared_pages_are_dirty():
    memory = PagedMemory(SIZE)
    memory.write(0, b"x")
    memory.take_dirty()
    memory.clear()
    assert memory.page(0) == bytes(PAGE_BYTES)
    assert memory.take_dirty() == {0}
