"""Every fault and every good response by name."""

import faults_bodies
import faults_framing
import faults_heads
import faults_points
import shapes
from faulty import ACCEPT_FAULTS, FAULTS

MODULES = (faults_bodies, faults_framing, faults_heads, faults_points, shapes)
# Good responses are no faults.
GOOD = {name for name, function in FAULTS.items() if function.__module__ == "shapes"}
NAMES = sorted((set(FAULTS) - GOOD) | set(ACCEPT_FAULTS) | {"refuse", "hang-before-accept"})
