"""A bundle in which everything is used that can name somebody: accounts, sessions, visitors, lists, events, reviews of single decisions."""

from __future__ import annotations

from pathlib import Path

TEXT = """
bundle: household
currency: EUR
time_zone: UTC
profile_purpose: personalization
purposes: {personalization: {}, marketing_email: {}}
channel_permissions: {email: marketing_email}
signals: {product_view: {}}
event_properties: {category: {type: string}}
lists: {blocked: {offers: [mortgage]}}
features:
  age: {type: int}
  views_1h: {type: int, from: {count: product_view, window: 1h}}
offers:
  plain: {value: 1.0, caps: [{max: 50, per: 7d, scope: account}]}
  personal: {value: 2.0, purposes: [personalization], caps: [{max: 3, per: 7d}, {max: 50, per: 7d, scope: account}]}
  shared: {value: 3.0, caps: [{max: 50, per: 7d, scope: account}]}
  mortgage: {value: 50.0, review_each_decision: true, review: {role: compliance, valid_for: 7d}}
  welcome: {value: 0.5}
placements:
  home: {offers: [plain, personal, shared], default_offer: welcome, select: {policy: epsilon_greedy, epsilon: 0.5}}
  reviewed: {offers: [plain, mortgage], default_offer: welcome, select: {policy: epsilon_greedy, epsilon: 0.0}}
layers:
  by-account: {kind: experiment, unit: account, salt: house-1, arms: {control: 0.5, dear: {share: 0.5, values: {plain: 9.0}}}}
  by-session: {kind: experiment, unit: session, salt: house-2, arms: {control: 0.5, dear: {share: 0.5, values: {personal: 8.0}}}}
  by-visitor: {kind: experiment, unit: visitor, salt: house-3, arms: {control: 0.5, dear: {share: 0.5, values: {shared: 7.0}}}}
"""


def write(directory: Path) -> Path:
    """Write the bundle into a folder of its own and return that."""
    directory.mkdir()
    (directory / "bundle.yaml").write_text(TEXT)
    return directory
