"""Whose turn it is in the GAN phase."""

from dataclasses import dataclass


@dataclass
class Turns:
    """One generator step, then the critic until its loss is under `threshold`.

    After `max_critic_steps` the critic's turn ends all the same: a critic that cannot get there would train for ever.
    """

    threshold: float
    max_critic_steps: int
    critic_trains: bool = True
    critic_steps: int = 0  # in this turn
    generator_steps: int = 0
    all_steps: int = 0

    def after_step(self, loss: float) -> None:
        "Count a step that ended with this loss."
        self.all_steps += 1
        if not self.critic_trains:
            self.generator_steps += 1
            self.critic_trains = True
            return
        self.critic_steps += 1
        if loss < self.threshold or self.critic_steps >= self.max_critic_steps:
            self.critic_trains, self.critic_steps = False, 0

    def restart(self) -> None:
        "Begin again with the critic's turn."
        self.critic_trains, self.critic_steps, self.generator_steps, self.all_steps = True, 0, 0, 0
