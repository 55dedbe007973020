"""A card in an xl configuration."""

import pytest

from domwarden.contract import PermanentError
from domwarden_net import Net

from .views import view


def test_a_card_is_a_vif_on_this_hosts_bridge() -> None:
    """The MAC is the file's or the domain's own, the bridge is called as this host calls it."""
    here = view(engine="xen", bridges={"br0": "xenbr0"})
    card = Net("eth0", {"bridge": "br0", "mac": "52:54:00:12:34:56"})
    assert card.xl_config(here) == {"vif": [{"mac": "52:54:00:12:34:56", "bridge": "xenbr0"}]}
    assert card.open(here) is None
    unnamed = Net("eth0", {"bridge": "br0"}).xl_config(here)["vif"][0]
    assert (
        unnamed["mac"]
        == Net("eth0", {"bridge": "br0"}).xl_config(view(engine="xen"))["vif"][0]["mac"]
    )


def test_xen_has_no_network_of_its_own() -> None:
    """mode: user is QEMU's."""
    with pytest.raises(PermanentError, match="bridge"):
        Net("eth0", {"mode": "user"}).xl_config(view(engine="xen"))
