"""The ideas that document 001 lists for NoGAN are switches of the schedule (docs/baselines.md)."""

from deoldify_lite.modeling.layers import SelfAttention
from deoldify_lite.training.networks import trainable_generator


def test_the_ideas_of_document_001_can_be_switched(run):
    """NoGAN itself: perceptual loss, self-attention, two time scales, repeated critic pretraining."""
    switched = {
        "networks.attention": "false",
        "loss.features": "[0, 0, 0]",
        "gan.critic_lr_factor": "1",
        "cycles": "3",
    }
    before = trainable_generator(run, None)
    run.schedule = run.schedule.override(switched)
    after = trainable_generator(run, None)
    found = [sum(isinstance(m, SelfAttention) for m in network.modules()) for network in (before, after)]
    assert found == [1, 0]
    assert run.schedule.cycles == 3 and not any(run.schedule.loss.features)
