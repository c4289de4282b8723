"""Blocks: what a design is. Names load when first asked for; importing this package costs nothing.

The seed designs themselves are ``model_discovery.blocks.seed_designs.seed_designs()``.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from model_discovery.blocks.build import build_block as build_block
    from model_discovery.blocks.language_model import LanguageModel as LanguageModel
    from model_discovery.blocks.language_model import ModelOutput as ModelOutput
    from model_discovery.blocks.scales import SCALES as SCALES
    from model_discovery.blocks.scales import Scale as Scale
    from model_discovery.blocks.scales import get_scale as get_scale
    from model_discovery.blocks.seed_designs import SeedDesign as SeedDesign
    from model_discovery.blocks.seed_designs import get_seed_design as get_seed_design
    from model_discovery.blocks.seed_designs import seed_units as seed_units
    from model_discovery.blocks.seed_designs import tree_from_spec as tree_from_spec
    from model_discovery.blocks.sizing import Sizing as Sizing
    from model_discovery.blocks.sizing import SizingError as SizingError
    from model_discovery.blocks.sizing import size_block as size_block
    from model_discovery.blocks.standalone import standalone_source as standalone_source
    from model_discovery.blocks.unit import GAU as GAU
    from model_discovery.blocks.unit import ContractError as ContractError
    from model_discovery.blocks.unit import Field as Field
    from model_discovery.blocks.unit import Slot as Slot
    from model_discovery.blocks.unit import UnitConfig as UnitConfig
    from model_discovery.blocks.unit import UnitContext as UnitContext
    from model_discovery.blocks.unit_data import ConfigField as ConfigField
    from model_discovery.blocks.unit_data import Node as Node
    from model_discovery.blocks.unit_data import SlotSpec as SlotSpec
    from model_discovery.blocks.unit_data import Unit as Unit
    from model_discovery.blocks.unit_data import accepts as accepts
    from model_discovery.blocks.unit_source import SourceError as SourceError
    from model_discovery.blocks.unit_source import parse_unit as parse_unit
    from model_discovery.blocks.unit_tree import TreeDiff as TreeDiff
    from model_discovery.blocks.unit_tree import UnitTree as UnitTree

_MODULES = {
    "language_model": ("LanguageModel", "ModelOutput"),
    "scales": ("SCALES", "Scale", "get_scale"),
    "seed_designs": ("SeedDesign", "get_seed_design", "seed_units", "tree_from_spec"),
    "sizing": ("Sizing", "SizingError", "size_block"),
    "standalone": ("standalone_source",),
    "unit": ("GAU", "ContractError", "Field", "Slot", "UnitConfig", "UnitContext"),
    "build": ("build_block",),
    "unit_data": ("ConfigField", "Node", "SlotSpec", "Unit", "accepts"),
    "unit_source": ("SourceError", "parse_unit"),
    "unit_tree": ("TreeDiff", "UnitTree"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'model_discovery.blocks' has no attribute {name!r}")
    return getattr(importlib.import_module(f"model_discovery.blocks.{_HOME[name]}"), name)
