"""What clients ask for does not make /metrics grow without bounds."""

from __future__ import annotations

from apiserver import metrics


def test_resources_that_clients_make_up_share_one_series() -> None:
    for number in range(metrics.MOST_SERIES + 500):
        metrics.answered("get", f"made-up-{number}", 404, 0.001)
    lines = [line for line in metrics.text().decode().splitlines() if line.startswith("apiserver_request_total{")]
    assert len(lines) <= metrics.MOST_SERIES + 10
    shared = [line for line in lines if 'resource="other"' in line]
    assert len(shared) == 1
    assert float(shared[0].split()[-1]) >= 500
