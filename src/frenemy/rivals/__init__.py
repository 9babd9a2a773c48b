"""What adversarial nets are measured against: generative models as games of one player.

The player is called "G", and its network maps z of the game's prior to images, whatever else it
holds. So any of them is trained, resumed, sampled and judged as a generator is.
"""

from __future__ import annotations
