"""The contract as text: what LLM designers are told of units and checks, and how a design is given back."""

import json
from pathlib import Path

_TEXT = """
{% include "world.md" %}
{% include "contract.md" %}
{% include "rules.md" %}
{% include "pitfalls.md" %}
{% include "kernels.md" %}
{% include "checks.md" %}

# A unit of each kind

{% for unit in units %}
{{ unit.source | trim | fenced("python") }}
{% endfor %}

# How a design is given back

`check_tree` and `submit` take a `design`: the tree as `block` (units by class name, values that differ from
the defaults, slots), the sources of its new units in `units` (a list of texts, one a unit), and the words of
its proposal. A name is looked up among `units`, the parents' units and the library, in this order; a new unit
has a name of its own. Change the `block` that `design` gave you, or write one:

{{ example | fenced("json") }}

`changes` says what was changed, an entry each; `papers` are arXiv ids. A `prediction` is held against what is
measured: `metric` is `loss` or a suite, `direction` `lower` or `higher`, `against` `parent` or
`best_baseline`, `amount` the least difference that counts, in the metric's unit.
"""

_EXAMPLE = {
    "title": "Recurrence with a glance at the neighbours",
    "summary": "MinGRU behind a short convolution, so that its gates see more than one step.",
    "changes": ["slot 'mixer': a short convolution before MinGRU"],
    "papers": ["2410.01201"],
    "expected_effect": "Local patterns no longer cost state.",
    "prediction": {"metric": "loss", "direction": "lower", "against": "parent", "amount": 0.01},
    "block": {
        "unit": "PreNormBlock",
        "slots": {
            "mixer_norm": {"unit": "RMSNorm"},
            "mixer": {
                "unit": "LocalThenMixer",
                "slots": {
                    "local": {"unit": "ShortConvolution", "config": {"kernel": 4}},
                    "mixer": {"unit": "MinGRU"},
                },
            },
            "ffn_norm": {"unit": "RMSNorm"},
            "ffn": {"unit": "GatedMLP"},
        },
    },
    "units": [],
}


def contract_text() -> str:
    """Everything somebody needs who writes units and has read nothing else."""
    from model_discovery.designers.agentic.brief import brief_of
    from model_discovery.designers.agentic.sources import example_unit
    from model_discovery.designers.agentic.specs import load_specs
    from model_discovery.designers.agentic.templates import Template
    from model_discovery.designers.requests import DesignRequest

    variables = {
        "brief": brief_of(DesignRequest(operator="scratch")),
        "units": [example_unit(role) for role in ("block", "sequence_mixer", "channel_mixer")],
        "example": json.dumps(_EXAMPLE, indent=1),
    }
    pieces = load_specs()["coder"].templates.render(Template(_TEXT, Path(__file__)), variables)
    return "\n\n".join(text.strip() for text, _ in pieces)
