"""The words of the sample paper."""

from __future__ import annotations

TITLE = "Fatigue life of seat-stay joints: brazed, welded, and heat treated"
AUTHORS = "Marit Okafor and Leif Brandvold"

ABSTRACT = (
    "The joint between seat stay and dropout is where a light aluminium bicycle frame breaks first. We "
    "tested 33 joints of three kinds in bending until they failed. At a stress amplitude of 100 MPa, heat "
    "treatment after welding raised the median life from 182,000 to 431,000 cycles; brazed joints lay in "
    "between. Cracks started at the toe of the weld in 21 of 24 welded specimens. We recommend heat "
    "treatment for every frame that is meant to carry more than 120 kg."
)

# A text is a paragraph; a name of paper.FIGURES stands for that figure or table.
SECTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "1 Introduction",
        (
            "A bicycle frame meets its highest loads rarely and its ordinary loads millions of times. Every "
            "turn of the pedals and every joint of the road bends the seat stays a little, and after some "
            "years the frame may crack although no single load was ever large. Cargo bicycles make the "
            "matter worse: they are heavier, they are ridden every day, and their owners load them up to the "
            "limit.",
            "Most published tests load a whole frame, as the safety standard asks. Such a test tells whether "
            "a frame is good enough, but not which joint would have failed next, nor by how much a change of "
            "the process would help. We therefore tested single joints, cut from frames of the running "
            "production, so that the welds had the heat, the gaps and the haste of real work.",
            "Three questions guided us. How long does a welded joint live compared with a brazed one? How "
            "much of the difference does heat treatment win back? And where does the crack start?",
        ),
    ),
    (
        "2 Method",
        (
            "Each specimen is a seat stay of 240 mm with its dropout. Table 1 lists the three series. Series "
            "B was held at 180 degrees for six hours after welding and then cooled in still air. All tubes "
            "come from one mill and one heat of alloy 7005.",
            "specimens",
            "The rig in Figure 1 clamps the upper end of the stay and bends it with a servo-hydraulic "
            "actuator at 8 Hz. The load is controlled, not the path, and a test ends when the stiffness has "
            "dropped by 15 %, which corresponds to a crack of about 9 mm. Strain gauges on every fourth "
            "specimen confirm that the stress computed from the load is right within 3 %.",
            "rig",
            "Stress amplitudes between 71 and 148 MPa were applied in random order. Three specimens per "
            "level were used at 100 MPa and above, two below. Tests that reached two million cycles were "
            "stopped and count as run-outs; there were four of them, all in series B.",
        ),
    ),
    (
        "3 Results",
        (
            "Figure 2 shows the lives of the two welded series. Heat treatment moves the curve to the right "
            "by a factor of 2.4 at 100 MPa, and more at lower stress. The slope of series A, with an "
            "exponent of 4.1, agrees with what is known of welded aluminium; series B is flatter, with an "
            "exponent of 5.6.",
            "curve",
            "Table 2 gives the lives at 100 MPa. The weakest joint of series B outlived the strongest of "
            "series A. The brazed joints of series C have thinner tubes and yet reach a median of 268,000 "
            "cycles, because the brazing heat hardly softens the wall.",
            "runs",
            "The scatter is modest. The ratio between the strongest and the weakest joint of a series is 2.0 "
            "for both welded series and 1.7 for the brazed one, so that twelve specimens are enough to tell "
            "the series apart with confidence.",
            "fracture",
            "In 21 of 24 welded specimens the crack started at the toe of the weld on the tension side, as "
            "in Figure 3. Two started at a pore inside the seam and one at a scratch from the clamp; the "
            "latter was left out of Table 2. In the brazed series all cracks began where the fillet ends.",
        ),
    ),
    (
        "4 Discussion",
        (
            "Why does so mild a treatment help so much? Hardness across the seam gives the answer. After "
            "welding, a band 6 mm wide beside the seam has lost a third of its hardness; after treatment the "
            "loss is less than a tenth. The crack still starts at the same place, for the notch is still "
            "there, but it starts later and grows more slowly.",
            "Grinding the toe of the weld would remove the notch itself. We tried it on four further joints "
            "and found lives above one million cycles, but the work takes eleven minutes a frame and depends "
            "on a steady hand. Heat treatment costs EUR 3.40 a frame and can be checked with a hardness "
            "tester.",
            "Our tests have limits. The load had one direction and a constant amplitude, whereas the road "
            "offers neither. Corrosion was not considered; winter salt will shorten all lives, and perhaps "
            "those of brazed joints most. And single joints know nothing of the loads that a stiff frame "
            "shifts from one member to the next.",
        ),
    ),
    (
        "5 Conclusion",
        (
            "Heat treatment more than doubles the life of welded seat-stay joints, brazing gives about half "
            "of that gain, and the toe of the weld is where both processes should be improved. Since January "
            "2026 every frame of the Puffin series is heat treated.",
            "We thank the welders of the Harrowmere plant, who let us cut up their work, and Brightwater "
            "Forgings for the dropouts.",
        ),
    ),
)

REFERENCES = (
    "[1] L. Brandvold. Bending tests on bicycle stays. Larkfield laboratory report 12, 2019.",
    "[2] H. Abara and P. Oduya. Softening beside welds in alloy 7005. Eastwick Metals Review 8, 2021, 44-59.",
    "[3] C. Nyberg. How cargo bicycles are loaded: a survey of 300 owners. Harrowmere Technical College, "
    "2023.",
    "[4] R. Tamm. Brazed joints in thin tube. Proceedings of the third Frame Builders' Day, 2020, 7-15.",
    "[5] M. Okafor. A hardness test for heat-treated frames. Larkfield laboratory report 31, 2025.",
)
