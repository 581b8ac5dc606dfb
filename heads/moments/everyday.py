"""Everyday names: texts to compare a query with, to tell whether a store really shows what the query says."""

THINGS = """
aeroplane; ambulance; bicycle; boat; bus; car; fire engine; helicopter; motorcycle; rocket; sailing ship; tractor;
train; tram; truck; van; wheelchair; bear; bee; bird; butterfly; camel; cat; chicken; cow; crab; crocodile; deer; dog;
dolphin; duck; eagle; elephant; fish; fox; frog; giraffe; goat; gorilla; hen; horse; kangaroo; lion; lizard; monkey;
mouse; octopus; ostrich; owl; panda; parrot; penguin; pig; rabbit; shark; sheep; snail; snake; spider; swan; tiger;
turtle; whale; wolf; zebra; apple; banana; birthday cake; bottle of wine; bowl of soup; carrot; cherry; egg;
hamburger; lemon; mushroom; onion; orange; pancake; pizza; plate of pasta; pumpkin; salad; sandwich; sausage;
strawberry; tomato; watermelon; armchair; bathtub; bed; bookcase; bench; candle; carpet; chair; clock; cupboard;
curtain; cushion; desk; door; fireplace; lamp; mirror; oven; painting; piano; pillow; refrigerator; shelf; sink; sofa;
staircase; stove; table; telephone; television; toilet; vase; washing machine; window; axe; ball; balloon; basket;
bell; book; bottle; bowl; box; broom; bucket; camera; computer; cup; drill; drum; fan; fork; guitar; hammer; key;
keyboard; kite; knife; ladder; laptop; microphone; mobile phone; needle; newspaper; paintbrush; pen; plate; pot;
printer; rope; saw; screwdriver; shovel; spoon; suitcase; sword; tent; toothbrush; torch; towel; toy; trumpet;
umbrella; violin; belt; blue shirt; coat; crown; dress; green shirt; hat; helmet; jacket; necklace; red shirt; scarf;
shoe; skirt; suit; swimsuit; tie; watch; white shirt; airport; bakery; bank; beach; bridge; castle; church; city
street at night; classroom; desert; factory; farm; field of flowers; football stadium; forest; garden; hospital; hotel
room; island; kitchen; lake; library; lighthouse; market; motorway; mountain; museum; office; park; petrol station;
playground; prison; railway station; restaurant; river; school; shop; swimming pool; theatre; tower; tunnel; village;
volcano; waterfall; cactus; cloud; flag; flower; moon; rainbow; snowman; sunset; tree; map; logo; page of text; black
screen; chart
"""
DEEDS = """
baking bread; brushing teeth; carrying a child; changing a tyre; cleaning a window; climbing a rock; combing hair;
cooking soup; crying; cutting paper; dancing; digging a hole; driving a car; eating a sandwich; feeding a baby;
fishing; flying a kite; folding clothes; hugging a friend; ironing a shirt; juggling; kissing; laughing; lighting a
candle; making a bed; milking a cow; opening a letter; painting a wall; paddling a canoe; petting a cat; planting a
tree; playing a violin; playing chess; pouring tea; pushing a pram; reading a book; riding a bicycle; riding a horse;
rolling a ball; rowing a boat; running; sawing wood; sewing; shaking hands; shaving; shopping; shouting; signing a
paper; singing; skating; skiing; sleeping; smoking; surfing; sweeping the floor; swimming; taking a photo; talking on
the phone; throwing a ball; tying a shoe; typing; using a computer; walking a dog; washing the dishes; watching
television; watering plants; wearing a helmet; writing a letter; yawning
"""
AS_THEY_ARE = """
a person; someone; a figure; a person standing; a person sitting on a chair; a person sitting on the floor; a person
lying on the floor; a person bending forward; a person leaning back; a person with both arms raised overhead; a person
with one arm raised; a person with both arms down; a person with one leg raised; a person standing on one leg; a
person facing the camera; a person seen from the side; a person in the air; a person holding a box; a person holding a
cup; a person with a barbell; a person beside a plant; a person in a red shirt; a person in a blue shirt; a person in
a green shirt; a person in a black shirt; a person in a white shirt; a person in a yellow shirt; a person wearing
black trousers; a person wearing red trousers; a person wearing blue trousers; a person wearing brown trousers; a
person outdoors; a person in front of a brick wall; a person in front of a plain wall; a person in front of a striped
wall; a person in front of green hills; hills and sky; a wall; a plant; the floor; two hands; a hand
at the face; one foot; bent knees; a shoulder; feet apart; a crowd; a child; a woman; an old man; a baby; a face; a
soldier; a doctor; a cook; a police officer; a musician; two people talking; a team of players; bread; broccoli;
cheese; coffee; corn; grapes; sushi; ice cream; boots; glasses; gloves; scissors; socks; trousers; lightning; fire
"""


def _listed(text: str) -> list[str]:
    return " ".join(text.split()).split("; ")


NAMES = tuple(
    [f"{'an' if name[0] in 'aeiou' else 'a'} {name}" for name in _listed(THINGS)]
    + [f"a person {name}" for name in _listed(DEEDS)]
    + _listed(AS_THEY_ARE)
)
