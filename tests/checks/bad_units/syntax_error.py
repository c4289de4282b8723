# refused by: source
from model_discovery.blocks import GAU


class Broken(GAU)
    role = 'norm'
