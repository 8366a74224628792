"""Which Sampan this is, and which Kubernetes API it speaks.

Nothing refuses another version: a node and a server that are one minor version apart work together, as upstream's
version skew policy has it. Whoever looks at these only shows them.
"""

from __future__ import annotations

VERSION = "0.1.0"
"""Sampan's own; pyproject.toml has the same, and a test compares them."""
KUBERNETES = "v1.37.0"
GIT_VERSION = f"{KUBERNETES}+sampan.{VERSION}"
"""What /version and a node's status say: Kubernetes' version with ours as build metadata (semver.org, 10)."""
