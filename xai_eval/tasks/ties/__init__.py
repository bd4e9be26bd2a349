"""What measures that jump could have been if rounding had moved their inputs."""
