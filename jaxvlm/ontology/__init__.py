"""The ontology: its file, what is wrong with it, captions as phrases and atoms, new atoms."""

from jaxvlm.ontology.ontology import Ontology, load_ontology

__all__ = ["Ontology", "load_ontology"]
