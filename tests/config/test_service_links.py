"""What Kubernetes sets in every pod is no setting, and a misspelt setting is an error all the same."""

from __future__ import annotations

import pytest

from outrider.config.loading import SettingsError, from_arguments, from_environ, load_settings
from outrider.config.service_links import is_service_link, service_links


def links(name: str, address: str, port: str = "8080") -> dict[str, str]:
    """What a pod gets for a Service, as the documentation of Kubernetes lists it."""
    host = f"[{address}]" if ":" in address else address
    prefix = name.upper().replace("-", "_")
    return {
        f"{prefix}_SERVICE_HOST": address,
        f"{prefix}_SERVICE_PORT": port,
        f"{prefix}_SERVICE_PORT_HTTP": port,
        f"{prefix}_SERVICE_PORT_GRPC_WEB": port,
        f"{prefix}_PORT": f"tcp://{host}:{port}",
        f"{prefix}_PORT_{port}_TCP": f"tcp://{host}:{port}",
        f"{prefix}_PORT_{port}_TCP_PROTO": "tcp",
        f"{prefix}_PORT_{port}_TCP_PORT": port,
        f"{prefix}_PORT_{port}_TCP_ADDR": address,
        f"{prefix}_PORT_53_UDP": f"udp://{host}:53",
        f"{prefix}_PORT_53_UDP_PROTO": "udp",
        f"{prefix}_PORT_53_UDP_PORT": "53",
        f"{prefix}_PORT_53_UDP_ADDR": address,
    }


SERVICES = ["outrider", "outrider-worker", "outrider-api", "outrider-data-dir", "outrider-port"]
MISSPELT = [
    ("OUTRIDER_POTR", "8080"),
    ("OUTRIDER_WORKER_PORT", "8080"),
    ("OUTRIDER_SERVICE_HOST", "outrider.example.com"),
    ("OUTRIDER_SERVICE_PORT", "http"),
    ("OUTRIDER_API_PORT", "tcp://outrider.example.com:8080"),
    ("OUTRIDER_PORT_8080_TCP", "8080"),
    ("OUTRIDER_PORT_8080_TCP_PROTO", "http"),
    ("OUTRIDER_PORT_8080_TCP_HOST", "10.0.0.1"),
    ("OUTRIDER_SERVICE_HOST", ""),
    ("OUTRIDER_SERVICE", "10.0.0.1"),
]


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("address", ["10.96.0.17", "fd00:10:96::11"])
def test_the_variables_of_a_service_are_no_settings(service, address):
    """
    A server next to a Service of the same name did not start.
    """
    environ = {"OUTRIDER_HOST": "0.0.0.0", **links(service, address)}
    settings = load_settings({}, environ)

    assert ("0.0.0.0", 8080) == (settings.host, settings.port)
    assert sorted(links(service, address)) == service_links(environ)
    assert settings == from_environ(environ) == from_arguments({}, environ)


def test_a_port_setting_counts_next_to_a_service():
    assert 9090 == load_settings({"port": "9090"}, links("outrider", "10.96.0.17")).port
    assert 9090 == load_settings({}, {"OUTRIDER_PORT": "9090"}).port


@pytest.mark.parametrize(("name", "value"), MISSPELT)
def test_what_is_only_like_one_is_an_error(name, value):
    """
    A misspelt setting must not be a silent default.
    """
    assert not is_service_link(name, value)
    with pytest.raises(SettingsError, match=f"{name}: no such setting"):
        load_settings({}, {name: value})


def test_a_port_that_is_a_url_of_no_address_is_an_error():
    with pytest.raises(SettingsError, match="must be a whole number"):
        load_settings({}, {"OUTRIDER_PORT": "tcp://outrider:8080"})
