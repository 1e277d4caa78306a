"""Changes that make the smoke preset smaller still: every stage in a second or two."""

SMALL = {
    "generator_stages": "[{name: a, size: 32, batch: 4, lr: 1.0e-3, lr_encoder: 1.0e-4, frozen: true},"
    " {name: b, size: 32, batch: 4, lr: 1.0e-3, lr_encoder: 1.0e-4}]",
    "critic_stages": "[{name: c, size: 64, batch: 4, lr: 1.0e-3, epochs: 2}]",
    "networks.encoder": "test_efficientnet",
    "gan.size": "64",
    "gan.max_critic_steps": "2",
}
