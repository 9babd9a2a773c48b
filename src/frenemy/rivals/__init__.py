"""What adversarial nets are measured against: generative models as games of one player.

Where z maps to an image, the player is called "G", as a generator is; a model whose samples come
from a Markov chain, or from components, has a player of its own name.
"""
