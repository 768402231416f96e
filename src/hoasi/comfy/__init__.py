"""Translators' back room (floor 2): ComfyUI graphs from templates, LoRA policy, validator, styles. Pure: no network.

`workflow.compose` is the way in: prompt, style and LoRAs -> graph, seed, size and what the caller should know.
"""
