"""Word tables of the made-up catalogue: goods, brands, books, music and gift cards, and the sentences about them.

Everything here is invented. Three rules keep the descriptions honest, so that a small model can learn from them:

- A description says a number in digits, a size, a color or a material only if the title says it.
- What else it says follows from a word in the title (a chef's knife -> uses and details, a brand -> its promise).
- A field in braces comes from the title's facts; a template whose fields a product lacks is never chosen.

Lists are written as text split at ";", so that a line reads like a shelf label. Run nothing here: see generate.py.
"""

from __future__ import annotations

from dataclasses import dataclass


def split(text: str) -> tuple[str, ...]:
    """Return the parts of a "; "-separated list."""
    return tuple(part.strip() for part in text.split(";") if part.strip())


@dataclass
class Thing:
    """One sort of article: what it may be made of, its sizes, what it is for, its details and what it comes with.

    `unit` is "pair" for plural words (pliers), the container for what is poured or weighed (tea -> tin), else empty.
    """

    name: str
    made: str
    sizes: str
    dim: str  # verb phrases with {size}, for a singular subject
    uses: str  # -ing phrases
    has: str  # noun phrases after "it has"
    box: str  # noun phrases after "it comes with"
    packs: str = ""
    unit: str = ""


@dataclass
class Kind:
    """One department: words and sentences that all of its articles share."""

    room: str
    people: str
    colors: str
    fits: str  # remarks on the size, put behind a comma
    care: tuple[str, ...]
    who: tuple[str, ...]
    close: tuple[str, ...]
    brands: dict[str, tuple[str, str]]  # brand: (what it does, what it promises)
    things: tuple[Thing, ...]
    option: str = "color"  # what `colors` are: color, scent, flavor or finish


# Part of all rows, in the order of the file. As in the real file, kinds lie together: books first, gift cards last.
SHARES = {
    "books": 22, "music": 8, "kitchen": 7, "tools": 6, "office": 6, "garden": 5, "toys": 5, "clothing": 5,
    "electronics": 6, "sports": 5, "pet": 4, "beauty": 5, "food": 4, "industrial": 4, "home": 5, "gift cards": 3,
}  # fmt: skip

# ---------------------------------------------------------------------------------------------- goods: shared words

MODELS = split(
    "Tarn; Alder; Kestrel; Bramble; Orrin; Vesper; Calla; Juno; Marlo; Pike; Sable; Wren; Cobble; Dune; Ember; "
    "Fjord; Harrow; Indra; Jasper; Larch; Mica; Noor; Onyx; Piper; Quill; Rowan; Sorrel; Thistle; Umber; Vireo; "
    "Willet; Yarrow; Zephyr; Basil; Cinder; Delta; Ferris; Garnet; Hollis; Isla; Kelda; Linnet; Merle; Nettle; "
    "Osprey; Petrel; Rook; Tansy"
)

# Unit: (how a title writes it, how a text writes it, how an adjective writes it).
UNITS = {
    "inch": (("{n}-Inch", "{n} in", '{n}"'), "{n} inches", "{n}-inch"),
    "foot": (("{n}-Foot", "{n} ft"), "{n} feet", "{n}-foot"),
    "ounce": (("{n} oz", "{n}-Ounce"), "{n} ounces", "{n}-ounce"),
    "pound": (("{n} lb", "{n}-Pound"), "{n} pounds", "{n}-pound"),
    "quart": (("{n}-Quart", "{n} qt"), "{n} quarts", "{n}-quart"),
    "cup": (("{n}-Cup", "{n} Cup"), "{n} cups", "{n}-cup"),
    "gallon": (("{n}-Gallon", "{n} gal"), "{n} gallons", "{n}-gallon"),
    "watt": (("{n}W", "{n}-Watt"), "{n} watts", "{n}-watt"),
    "mm": (("{n} mm", "{n}mm"), "{n} mm", "{n} mm"),
    "mAh": (("{n}mAh", "{n} mAh"), "{n} mAh", "{n} mAh"),
    "piece": (("{n}-Piece", "{n} Piece"), "{n} pieces", "{n}-piece"),
    "sheet": (("{n}-Sheet", "{n} Sheet"), "{n} sheets", "{n}-sheet"),
    "size": (("{n}", "Size {n}"), "{n}", ""),
}

# What a material does, said of the material. The title's material picks the line.
MATERIALS = {
    name: split(lines)
    for name, lines in {
        "stainless steel": "resists rust and stains; wipes clean and does not hold odors; stays bright for years",
        "forged steel": "holds a sharp edge; takes hard use without bending; can be honed again and again",
        "carbon steel": "is hard and easy to sharpen; keeps its edge through long work; heats fast and evenly",
        "chrome vanadium": "stands up to high torque; is tough and does not chip; keeps its shape under load",
        "cast iron": "holds heat for a long time; gets better with every use; spreads heat evenly",
        "aluminum": "is light and does not rust; keeps the weight down; is strong for its weight",
        "brass": "does not rust; gains a warm patina with age; seals well and lasts long",
        "copper": "carries heat quickly; grows more handsome with age; conducts better than steel",
        "zinc-plated steel": "keeps rust away indoors; is a strong and common choice; holds paint well",
        "bamboo": "grows back fast and wears slowly; is harder than many woods; resists moisture",
        "beech wood": "has a fine, even grain; feels smooth in the hand; is hard and does not splinter",
        "oak wood": "shows a strong grain; is heavy and solid; wears well for many years",
        "maple wood": "is smooth, pale and hard; has a close grain; is sanded until no edge is sharp",
        "stoneware": "keeps food warm; is fired hot so that it resists chips; is heavy and steady on the table",
        "glass": "never holds a smell or a taste; lets you see what is inside; is clear and easy to rinse",
        "silicone": "bends without cracking; is soft and easy to grip; stands high heat",
        "plastic": "is light and shrugs off knocks; wipes clean in seconds; does not rust or rot",
        "recycled plastic": "gives old bottles a second life; is light and tough; keeps old bottles out of the dump",
        "ABS plastic": "takes drops without cracking; is light but stiff; keeps its color",
        "rubber": "grips well even when wet; soaks up shocks; stays flexible in the cold",
        "natural rubber": "springs back to its shape; is tough and flexible; grips a smooth floor",
        "nitrile rubber": "resists oil and fuel; seals tightly; keeps its shape in warm machines",
        "leather": "softens with use; is tough and ages well; feels warm to the touch",
        "canvas": "is a strong, plain weave; stands rough treatment; gets softer with each wash",
        "cotton": "is soft and breathes well; feels gentle on the skin; washes well",
        "organic cotton": "is grown without pesticides; is soft from the first day; is kind to sensitive skin",
        "merino wool": "keeps you warm even when damp; does not itch; resists odor on long days",
        "linen": "feels cool and dries fast; has a natural, crisp texture; grows softer over time",
        "fleece": "is warm without weight; dries quickly; feels soft on both sides",
        "microfiber": "is very soft and dries fast; picks up dust and water; does not pill",
        "nylon": "is light and hard to tear; dries quickly; keeps its strength when wet",
        "braided nylon": "does not tangle; survives being bent every day; protects the wire inside",
        "polyester": "holds its color; dries fast and does not shrink; sheds creases",
        "mesh": "lets air pass; weighs almost nothing; lets sand and water fall out",
        "foam": "cushions every step; is light and springs back; does not soak up water",
        "memory foam": "takes the shape of what lies on it; eases pressure; springs back slowly",
        "plush": "is soft enough to hug; has a short, silky pile; is gentle on small hands",
        "paper": "takes ink without feathering; folds cleanly; can go into the paper recycling",
        "recycled paper": "is made without new trees; has a warm, natural tone; takes pencil and ink well",
        "card stock": "is thick and stays flat; does not curl in the printer; feels firm in the hand",
        "shea butter": "melts into dry skin; softens rough spots; leaves no greasy film",
        "aloe vera": "calms skin after sun; cools on contact; is light enough for each day",
        "oat milk": "soothes dry and itchy skin; is mild enough for each day; leaves skin feeling soft",
        "argan oil": "makes hair smooth and shiny; tames dry ends; sinks in without weight",
        "whole leaf": "gives a fuller taste than dust; can be steeped more than once; opens slowly in the pot",
        "organic": "means grown without synthetic sprays; means a short, clean ingredient list; keeps the soil healthy",
        "stone-ground": "keeps more of the grain; means a rich, nutty taste; is slow and cool and keeps the aroma",
        "slow-roasted": "brings out a deep, round taste; means no burnt edges; gives an even color",
        "salmon": "is rich in protein; gives a taste that few pets refuse; supports a glossy coat",
        "chicken": "is a lean protein; is easy to digest; is a taste that most pets like",
    }.items()
}

# Materials that are a way of making: "Slow-roasting brings out ..." would be wrong for the others.
AS_SUBJECT = {"organic": "The organic label", "whole leaf": "Whole leaf tea", "stone-ground": "Stone grinding",
              "slow-roasted": "Slow roasting"}  # fmt: skip

# ------------------------------------------------------------------------------------- goods: sentences of all kinds

GOODS_SLOTS = {
    "open": (
        "The {maker} is {a_name} for {uses}.",
        "{This_name} from {brand} {are} made for {uses}.",
        "{A_name} from {brand}, made for {uses}.",
        "Meet the {maker}, {a_name} for {uses}.",
        "{brand} designed {this_name} for {uses}.",
        "Looking for {a_name}? The {maker} is made for {uses}.",
        "For {uses}, reach for {this_name} from {brand}.",
        "This is {a_name} from {brand}, made with {uses} in mind.",
    ),
    "material": (
        "{Material} {benefit}.",
        "{Why_material} {benefit}.",
        "{brand} chose {material} because {it_material} {benefit}.",
        "Why {material}? {It_material} {benefit}.",
        "The {material} is a good choice here: {it_material} {benefit}.",
    ),
    "size": (
        "{Each} {dim}.",
        "{Each} {dim}, {fit}.",
        "Size: {size}, {fit}.",
        "Please note that {each} {dim}.",
    ),
    "option": (),  # filled in from OPTION_SENTENCES
    "count": (
        "The pack holds {count} {plural}.",
        "You get {count} {plural} in this pack.",
        "With {count} {plural} in the pack, there is always a spare.",
        "This is a pack of {count}, enough to share.",
        "Sold as a pack of {count} {plural}.",
    ),
    "has": (
        "{It} {have} {has}.",
        "Details include {has}.",
        "{brand} gave {them} {has}.",
        "Look for {has}.",
        "You will notice {has}.",
    ),
    "use": (
        "Use {them} for {more_uses}.",
        "{It} {are} just as good for {more_uses}.",
        "Many {people} also use {them} for {more_uses}.",
        "{It} will serve for {more_uses} too.",
    ),
    "has2": (
        "{It} also {have} {has2}.",
        "{brand} added {has2} as well.",
        "On top of that, you get {has2}.",
    ),
    "who": (),  # filled in from the kind
    "box": (
        "{It} come{s} with {box}.",
        "The package includes {box}.",
        "You also get {box}.",
        "{brand} packs {them} with {box}.",
    ),
    "care": (),  # filled in from the kind
    "brand": (
        "{brand} {tagline}.",
        "{brand} {tagline}, and it shows.",
        "About the maker: {brand} {tagline}.",
    ),
    "promise": (
        "{brand} backs {them} with {promise}.",
        "Every {brand} purchase comes with {promise}.",
        "{brand} stands behind {them} with {promise}.",
    ),
    "spec": (
        "Brand: {brand}. Model: {model}. Size: {size}.",
        "Brand: {brand}. Material: {material}. {Option}: {color}.",
        "Model: {model}. Material: {material}. Size: {size}. {Option}: {color}.",
        "Brand: {brand}. Model: {model}. {Option}: {color}.",
    ),
    "close": (),  # filled in from the kind
}  # fmt: skip

OPTION_SENTENCES = {
    "color": (
        "{It} come{s} in {color}.",
        "The color is {color}.",
        "The {color} color looks good in any {room}.",
        "In {color}, {it} will suit most tastes.",
        "This one is {color}, a color that {people} often ask for.",
    ),
    "scent": (
        "The scent is {color}.",
        "{It} {have} a light scent of {color}.",
        "A fresh note of {color} stays for a while and is never too strong.",
        "Scented with {color}, {it} {are} a small treat each day.",
    ),
    "flavor": (
        "The flavor is {color}.",
        "{Color} gives {them} a taste of {its} own.",
        "The taste of {color} comes through in each bite or sip.",
        "If you like {color}, you will like this one.",
    ),
    "finish": (
        "The finish is {color}.",
        "{It} come{s} with a {color} finish.",
        "The {color} finish protects the surface.",
        "A {color} finish keeps {them} looking clean in the {room}.",
    ),
}

# ---------------------------------------------------------------------------------------------- goods: the kinds

GOODS = {
    "kitchen": Kind(
        room="kitchen", people="home cooks",
        colors="charcoal gray; cream white; cherry red; sage green; navy blue; black; butter yellow; teal",
        fits="a handy size for most kitchens; a good match for most recipes; the size most cooks choose",
        care=("Wash by hand in warm water and dry at once.", "Clean {them} with a soft sponge and mild soap.",
              "Do not use steel wool or harsh cleaners.", "Rinse after use, dry well, and store in a dry place."),
        who=("A good choice for home cooks and for anyone who sets up a first kitchen.",
             "Beginners and trained cooks alike will find {them} easy to use.",
             "{It} make{s} a fine wedding or housewarming gift.", "Made for people who cook every day."),
        close=("Dinner starts here.", "Once in your kitchen, {it} will see daily use.",
               "Simple, solid and ready to cook with.", "Cooking is more fun with the right tool at hand."),
        brands={
            "Halverly": ("makes kitchen goods for people who cook every day", "a ten-year guarantee"),
            "Brisklade": ("began as a knife grinder's shop", "free sharpening for life"),
            "Ovenmoor": ("tests each design in a working bakery", "a five-year guarantee"),
            "Tavrik & Sons": ("is a family firm of three generations", "a lifetime guarantee"),
            "Crestowe": ("keeps its designs plain and its prices fair", "a two-year guarantee"),
        },
        things=(
            Thing("chef's knife", "forged steel; stainless steel; carbon steel", "6 inch; 8 inch; 10 inch",
                  "has a blade of {size}; measures {size} from heel to tip",
                  "slicing meat; chopping vegetables; mincing herbs; dicing onions",
                  "a full tang; a curved edge that rocks on the board; a bolster that guards the fingers; "
                  "a handle with three rivets; a fine point", "a blade guard; a sharpening guide"),
            Thing("frying pan", "cast iron; stainless steel; carbon steel; aluminum", "8 inch; 10 inch; 12 inch",
                  "measures {size} across the rim; is {size} wide",
                  "frying eggs; searing steaks; browning onions; making pancakes",
                  "a helper handle; two pouring lips; a flat base for any stove; sloped sides; a hole for hanging",
                  "a recipe card; a handle sleeve"),
            Thing("mixing bowl", "stainless steel; stoneware; glass; bamboo", "2 quart; 3 quart; 5 quart",
                  "holds {size}; takes up to {size}",
                  "mixing batter; tossing salad; proofing dough; whipping cream",
                  "a rolled rim; a flat base that does not slide; measuring marks inside; a wide shape",
                  "a snug lid; a set of recipe cards", "2; 3; 4"),
            Thing("cutting board", "bamboo; beech wood; maple wood; recycled plastic", "12 inch; 15 inch; 18 inch",
                  "is {size} long; measures {size} on the long side",
                  "cutting bread; carving roasts; chopping vegetables; serving cheese",
                  "a groove for juices; rubber feet; rounded corners; a cut-out grip; two usable sides",
                  "a bottle of board oil; a care card", "2; 3"),
            Thing("French press", "glass; stainless steel; stoneware", "3 cup; 4 cup; 8 cup",
                  "brews {size} at a time; makes {size} of coffee",
                  "brewing coffee; steeping loose tea; frothing milk; making cold brew",
                  "a fine mesh filter; a handle that stays cool; a lid that keeps heat in; a drip-free spout",
                  "a spare filter; a measuring scoop"),
            Thing("spatula", "silicone; beech wood; stainless steel; bamboo", "9 inch; 11 inch; 13 inch",
                  "is {size} long; measures {size} from end to end",
                  "turning pancakes; scraping bowls; flipping fish; folding batter",
                  "a thin front edge; a loop for hanging; a stiff core; a handle that fits either hand",
                  "a hanging hook; a recipe card", "2; 3; 5"),
            Thing("storage jar", "glass; stoneware; stainless steel", "16 ounce; 24 ounce; 32 ounce",
                  "holds {size}; takes {size} of dry goods",
                  "storing flour; keeping coffee fresh; pickling vegetables; holding pasta",
                  "an airtight lid; a wide mouth; straight sides that stack; a silicone seal",
                  "a sheet of labels; a spare seal", "2; 4; 6"),
        ),
    ),
    "tools": Kind(
        room="workshop", people="builders",
        colors="safety orange; black; bright yellow; red; blue; olive green",
        fits="a common size on building sites; a good match for most jobs; the size most people ask for",
        care=("Wipe {them} dry after use and add a drop of oil now and then.", "Keep {them} dry to prevent rust.",
              "Brush off dust and store indoors.", "Check for damage before each job."),
        who=("Made for builders, mechanics and weekend fixers.", "Useful on the site, in the garage and at home.",
             "A solid gift for anyone who likes to mend things.", "Good for both trade and home use."),
        close=("Ready for the next job.", "One less reason to put off that repair.",
               "Put {them} in the box and get to work.", "A plain tool that does what it should."),
        brands={
            "Gantrell": ("supplies tools to railway workshops", "a lifetime guarantee"),
            "Ironhusk": ("drop-forges its tools in one small plant", "a ten-year guarantee"),
            "Boltmere": ("makes tools for people who fix things at home", "a three-year guarantee"),
            "Torvane": ("tests each batch under load", "free replacement if it breaks"),
            "Hexley Forge": ("is run by former mechanics", "a five-year guarantee"),
        },
        things=(
            Thing("claw hammer", "forged steel; carbon steel", "12 ounce; 16 ounce; 20 ounce",
                  "weighs {size}; has a head of {size}",
                  "driving nails; pulling nails; light demolition; framing walls",
                  "a polished face; a grip that soaks up shock; a magnetic nail holder; a balanced head",
                  "a head cover; a belt hook"),
            Thing("combination pliers", "chrome vanadium; forged steel; carbon steel", "6 inch; 7 inch; 8 inch",
                  "measures {size} end to end; is {size} long",
                  "gripping wire; cutting cable; bending metal; turning small nuts",
                  "serrated jaws; hardened cutting edges; a smooth joint; handles dipped in soft plastic",
                  "a belt pouch; a hanging strap", "2; 3", "pair"),
            Thing("adjustable wrench", "chrome vanadium; forged steel; aluminum", "6 inch; 8 inch; 10 inch; 12 inch",
                  "is {size} long; measures {size} from jaw to handle end",
                  "turning bolts; fixing taps; mending bicycles; setting up furniture",
                  "a wide jaw with clear marks; a knurled screw that turns with one thumb; a hole for hanging; "
                  "a slim head for tight spots", "a soft jaw cover; a size chart", "2; 3"),
            Thing("tape measure", "ABS plastic; stainless steel; aluminum", "16 foot; 25 foot; 30 foot",
                  "reaches {size}; has a blade of {size}",
                  "measuring rooms; marking boards; checking doors; planning shelves",
                  "a thumb lock; a blade with large print; a belt clip; a hook that slides to stay exact",
                  "a carpenter's pencil; a wrist strap", "2; 4"),
            Thing("hand saw", "carbon steel; forged steel; stainless steel", "15 inch; 20 inch; 22 inch",
                  "has a blade of {size}; cuts with a {size} blade",
                  "cutting boards; trimming posts; sawing plywood; pruning thick branches",
                  "teeth cut on three sides; a handle with marks for square and miter; a blade that does not bind",
                  "a tooth guard; a tub of blade wax"),
            Thing("socket set", "chrome vanadium; forged steel", "24 piece; 40 piece; 56 piece; 94 piece",
                  "has {size}; comes with {size}",
                  "fixing cars; building bikes; servicing mowers; tightening bolts",
                  "a ratchet with fine teeth; sizes stamped deep; a swivel joint; an extension bar",
                  "a hard case; a size chart"),
        ),
    ),
    "office": Kind(
        room="office", people="students",
        colors="black; slate gray; sky blue; forest green; burgundy; white; lilac",
        fits="a good match for most offices; the version most people choose; enough for daily work",
        care=("Store flat and out of direct sun.", "Wipe {them} clean with a dry cloth.",
              "Keep dry and away from heat.", "Dust now and then with a soft brush."),
        who=("Made for students, teachers and busy offices.", "Good for school, home office and front desk.",
             "A useful gift for a new job.", "For people who like an orderly desk."),
        close=("Less clutter, more done.", "Your desk will thank you.", "Stock up before the busy season.",
               "Ready for Monday morning."),
        brands={
            "Paperwend": ("runs a small mill by a river", "a promise to replace any faulty sheet"),
            "Inkmoor": ("cares about how a pen feels on paper", "a one-year guarantee"),
            "Deskarra": ("designs goods for small desks", "a two-year guarantee"),
            "Clipforth": ("supplies schools and libraries", "a three-year guarantee"),
            "Quillbarrow": ("binds its books by hand", "a money-back promise"),
        },
        things=(
            Thing("spiral notebook", "recycled paper; paper; card stock", "80 sheet; 100 sheet; 150 sheet; 200 sheet",
                  "has {size}; holds {size}",
                  "taking notes; drawing plans; keeping a diary; writing lists",
                  "lines that do not show through; a stiff back cover; perforated edges; a pocket for loose notes",
                  "a ribbon marker; a sheet of stickers", "2; 3; 5; 6"),
            Thing("ring binder", "card stock; recycled plastic; plastic", "1 inch; 2 inch; 3 inch",
                  "has rings of {size}; measures {size} at the rings",
                  "filing reports; sorting invoices; keeping lesson plans; storing recipes",
                  "rings that open with one hand; a clear cover pocket; a label holder on the spine; inner pockets",
                  "a set of index tabs; a spine label", "2; 4; 6; 12"),
            Thing("desk organizer", "bamboo; mesh; recycled plastic; oak wood", "8 inch; 10 inch; 12 inch; 14 inch",
                  "is {size} wide; measures {size} from side to side",
                  "holding pens; sorting mail; keeping clips together; storing notepads",
                  "a small drawer; a slot for a phone; soft feet; compartments in three heights",
                  "a box of paper clips; a removable tray"),
            Thing("desk lamp", "aluminum; brass; bamboo; ABS plastic", "5 watt; 7 watt; 9 watt; 12 watt",
                  "uses {size}; draws only {size}",
                  "reading; late study; drawing; lighting a keyboard",
                  "an arm that stays where you set it; a touch dimmer; a heavy base; a shade that does not glare",
                  "a spare bulb; a power adapter"),
            Thing("office scissors", "stainless steel; carbon steel", "5 inch; 7 inch; 8 inch; 9 inch",
                  "measures {size} from tip to handle; is {size} long",
                  "cutting paper; opening parcels; trimming labels; craft work",
                  "soft handles; blades ground on both sides; a joint that never loosens; rounded tips",
                  "a blade cover; a storage sleeve", "2; 3; 5", "pair"),
            Thing("mailing envelope", "recycled paper; paper; recycled plastic", "9 inch; 10 inch; 12 inch; 15 inch",
                  "is {size} long; measures {size} on the long side",
                  "sending letters; mailing books; storing photos; posting contracts",
                  "a self-seal flap; a security tint; a tear strip; a padded lining",
                  "a sheet of address labels; a roll of tape", "10; 25; 50; 100"),
        ),
    ),
    "garden": Kind(
        room="garden", people="gardeners",
        colors="forest green; terracotta; slate gray; moss green; sand; copper brown; black",
        fits="a good size for most gardens; the size most people ask for; a popular choice",
        care=("Rinse off soil and dry before storing.", "Bring {them} indoors when hard frost is near.",
              "Keep out of standing water.", "Brush clean at the end of the season."),
        who=("Made for gardeners with a yard, a balcony or just a window box.", "A thoughtful gift for a new home.",
             "Good for first gardens and for old hands.", "For people who like dirt under their nails."),
        close=("Spring can come.", "Plant something today.", "Your plants will show the difference.",
               "More time for the garden, less for the shed."),
        brands={
            "Loamcroft": ("grew out of a plant nursery", "a five-year guarantee"),
            "Trellivane": ("works with a public garden to test its goods", "a three-year guarantee"),
            "Greenmarl": ("uses as little plastic as it can", "a two-year guarantee"),
            "Hedgelow": ("makes tools for small hands and large", "a ten-year guarantee"),
            "Rootbarrow": ("has supplied allotments for decades", "a lifetime guarantee"),
        },
        things=(
            Thing("hand trowel", "stainless steel; carbon steel; aluminum", "10 inch; 12 inch; 14 inch",
                  "is {size} long; measures {size} from tip to grip",
                  "planting bulbs; lifting weeds; filling pots; mixing soil",
                  "depth marks on the blade; an ash handle; a leather loop; a pointed tip",
                  "a cloth pouch; a packet of seed labels", "2; 3"),
            Thing("pruning shears", "forged steel; carbon steel; stainless steel", "7 inch; 8 inch; 9 inch",
                  "is {size} long; measures {size} when closed",
                  "cutting roses; trimming shrubs; harvesting herbs; shaping small trees",
                  "a safety catch; a strong spring; a groove that clears sap; a curved lower blade",
                  "a spare spring; a belt holster", "2; 3", "pair"),
            Thing("plant pot", "stoneware; recycled plastic; bamboo; copper", "6 inch; 8 inch; 10 inch; 14 inch",
                  "measures {size} across the top; is {size} wide",
                  "growing herbs; potting tomatoes; showing house plants; starting seedlings",
                  "a drain hole; a thick rim; small feet; a gently tapered shape",
                  "a matching saucer; a mesh drain cover", "2; 3; 4; 6"),
            Thing("watering can", "zinc-plated steel; copper; recycled plastic", "1 gallon; 2 gallon; 3 gallon",
                  "holds {size}; carries {size} of water",
                  "watering seedlings; soaking beds; feeding plants; filling bird baths",
                  "a long spout; a rose with fine holes; two handles; a wide mouth that fills fast",
                  "a spare rose; a measuring cap"),
            Thing("garden hose", "rubber; nylon; recycled plastic", "25 foot; 50 foot; 75 foot; 100 foot",
                  "reaches {size}; is {size} long",
                  "watering lawns; washing cars; rinsing patios; filling ponds",
                  "brass couplings; walls that do not kink; a collar against bending; a smooth, light outer skin",
                  "a spray nozzle; two spare washers"),
            Thing("bird feeder", "copper; recycled plastic; oak wood; glass", "8 inch; 10 inch; 12 inch; 16 inch",
                  "stands {size} tall; is {size} high",
                  "feeding finches; offering seeds in winter; watching birds; drawing wrens to the yard",
                  "four perches; a roof that keeps seed dry; a lid that squirrels cannot lift; a wide tray",
                  "a hanging wire; a small seed scoop", "2; 3"),
        ),
    ),
    "toys": Kind(
        room="playroom", people="parents",
        colors="multicolor; bright red; sky blue; sunny yellow; mint green; pink; lavender",
        fits="just right for an afternoon of fun; a good choice for this age; a popular choice",
        care=("Wipe clean with a damp cloth.", "Keep small parts away from babies.",
              "Let {them} air-dry after cleaning.", "Store in the box when playtime is over."),
        who=("Made for children from preschool age up.", "A birthday gift that does not need batteries.",
             "Children can play alone or with friends.", "Parents and teachers like {them} as much as children do."),
        close=("Let the play begin.", "Fun on rainy days and sunny ones.", "Hours of quiet play.",
               "Who will have the first turn?"),
        brands={
            "Wobblekin": ("lets children test each toy before it is sold", "a promise to replace lost parts"),
            "Tumblewick": ("makes toys without screens or noise", "a three-year guarantee"),
            "Pippinfox": ("was founded by a preschool teacher", "a two-year guarantee"),
            "Merrybolt": ("likes toys that teach how things work", "free spare parts"),
            "Zigglewood": ("paints its toys with water-based colors", "a five-year guarantee"),
        },
        things=(
            Thing("building block set", "beech wood; maple wood; ABS plastic; foam",
                  "40 piece; 60 piece; 100 piece; 150 piece",
                  "has {size}; contains {size}",
                  "building towers; sorting shapes; learning to count; making bridges",
                  "smooth edges; eight different shapes; colors that do not rub off; pieces that fit other sets",
                  "a storage bag; an idea booklet"),
            Thing("jigsaw puzzle", "card stock; beech wood; recycled paper",
                  "48 piece; 100 piece; 300 piece; 500 piece",
                  "has {size}; is cut into {size}",
                  "quiet afternoons; learning patience; family evenings; training a sharp eye",
                  "thick pieces that lock well; a picture of a busy harbor; no two pieces alike; "
                  "a matte, glare-free print",
                  "a poster of the picture; a bag for the pieces"),
            Thing("teddy bear", "plush; organic cotton; fleece", "8 inch; 12 inch; 16 inch; 20 inch",
                  "sits {size} tall; is {size} tall",
                  "bedtime hugs; pretend play; travel comfort; tea parties",
                  "stitched eyes; a bow around the neck; soft paws; arms and legs that move",
                  "a name tag; a small blanket"),
            Thing("toy train", "beech wood; maple wood; ABS plastic", "6 inch; 9 inch; 12 inch",
                  "is {size} long; measures {size} from engine to caboose",
                  "rolling along tracks; telling stories; hauling small loads; first counting games",
                  "magnetic couplings; wheels that run quietly; three cars that come apart; a chimney knob to hold",
                  "two wooden passengers; a piece of track"),
            Thing("kite", "nylon; polyester; recycled plastic", "36 inch; 48 inch; 60 inch",
                  "spans {size}; is {size} wide",
                  "windy days; beach trips; park visits; first flying lessons",
                  "a long tail; bendable rods; a keel that keeps it steady; bright panels",
                  "a line on a reel; a carry bag", "2"),
            Thing("card game", "recycled paper; plastic", "54 piece; 72 piece; 110 piece",
                  "has {size}; contains {size}",
                  "family evenings; long car rides; rainy weekends; learning quick sums",
                  "rules that fit on one page; drawings of odd animals; rounds that end in ten minutes; "
                  "two ways to play",
                  "a score pad; a tin box", "2; 3"),
        ),
    ),
    "clothing": Kind(
        room="wardrobe", people="walkers",
        colors="navy blue; charcoal gray; olive green; burgundy; black; oatmeal; rust orange; sky blue",
        fits="with a regular fit; true to the label; a size that many ask for",
        care=("Machine wash cold and hang to dry.", "Do not bleach.", "Wash with like colors and iron on low heat.",
              "Turn inside out before washing."),
        who=("For men and women who are outdoors in all weather.", "Good for work, travel and weekends.",
             "A gift that will be worn, not stored.", "Made for cool mornings and long walks."),
        close=("Put {them} on and forget the weather.", "Soon to be a favorite.", "Plain, warm and well made.",
               "You may want a second color."),
        brands={
            "Northarrel": ("sews for people who work outdoors", "a two-year guarantee on every seam"),
            "Calderlow": ("spins and knits under one roof", "free repairs"),
            "Threnby": ("cuts its patterns from the measures of real people", "a money-back promise"),
            "Oskarra": ("makes simple clothes in small runs", "a one-year guarantee"),
            "Linwold": ("uses cloth left over from larger mills", "a three-year guarantee"),
        },
        things=(
            Thing("T-shirt", "cotton; organic cotton; linen; merino wool",
                  "Small size; Medium size; Large size; X-Large size",
                  "is cut in size {size}; is a size {size}", "everyday wear; light sport; layering; warm days",
                  "a round neck; double-stitched hems; no scratchy label; side seams that do not twist",
                  "a cloth bag; a care card", "2; 3; 5"),
            Thing("hiking socks", "merino wool; cotton; polyester", "Small size; Medium size; Large size",
                  "is knitted in size {size}; is a size {size}", "long walks; cold mornings; work boots; camping trips",
                  "a padded heel; a flat toe seam; a snug arch band; a cuff that does not slip",
                  "a paper band; a care card", "2; 3; 4; 6", "pair"),
            Thing("rain jacket", "nylon; polyester; recycled plastic",
                  "Small size; Medium size; Large size; X-Large size",
                  "is cut in size {size}; is a size {size}", "wet walks; cycling; travel; windy coasts",
                  "taped seams; a hood that adjusts; two zip pockets; vents under the arms",
                  "a stuff sack; a repair patch"),
            Thing("work gloves", "leather; canvas; nylon; cotton", "Small size; Medium size; Large size; X-Large size",
                  "is cut in size {size}; is a size {size}", "yard work; stacking wood; moving boxes; building fences",
                  "double-stitched palms; a knit wrist; curved fingers; padded knuckles",
                  "a drying clip; a care card", "2; 3; 6", "pair"),
            Thing("knit beanie", "merino wool; fleece; cotton", "Small size; Medium size; Large size",
                  "is knitted in size {size}; is a size {size}",
                  "winter walks; ski trips; cold commutes; camp evenings",
                  "a folded brim; a soft lining; a rib knit that stretches; a small woven label",
                  "a gift box; a wash bag", "2; 3"),
            Thing("work belt", "leather; canvas; nylon", "32 inch; 36 inch; 40 inch; 44 inch",
                  "fits a waist of {size}; measures {size} to the middle hole",
                  "jeans; office wear; travel; work pants",
                  "a buckle that comes off; five holes; edges painted by hand; a keeper loop",
                  "a gift box; a hole punch card"),
        ),
    ),
    "electronics": Kind(
        room="home office", people="commuters",
        colors="black; white; space gray; midnight blue; coral red; silver",
        fits="plenty for daily use; a good match for most devices; a good choice for travel",
        care=("Keep dry and away from heat.", "Wipe with a dry cloth; do not use spray.",
              "Do not open the case.", "Unplug when not in use."),
        who=("Made for commuters, students and home offices.", "A handy gift for anyone with a phone.",
             "Good at the desk and on the road.", "No app and no account are needed."),
        close=("Plug in and go.", "One less thing to worry about.", "Ready when you are.", "Works out of the box."),
        brands={
            "Ampwren": ("builds small electronics that last", "a two-year guarantee"),
            "Zentrivolt": ("tests each unit before it ships", "a three-year guarantee"),
            "Cablore": ("makes cables and little else", "a lifetime guarantee"),
            "Lumitarn": ("is run by two engineers", "a five-year guarantee"),
            "Sonarvik": ("came out of a recording studio", "a one-year guarantee"),
        },
        things=(
            Thing("USB-C cable", "braided nylon; rubber; recycled plastic", "3 foot; 6 foot; 10 foot",
                  "is {size} long; reaches {size}",
                  "charging phones; linking laptops; moving photos; powering tablets",
                  "slim plugs; a strain guard at both ends; gold contacts; a shield against noise",
                  "a cable tie; a travel pouch", "2; 3; 5"),
            Thing("power bank", "aluminum; ABS plastic; recycled plastic", "5000 mAh; 10000 mAh; 20000 mAh",
                  "stores {size}; has a capacity of {size}",
                  "charging on the road; long flights; festivals; camping trips",
                  "two outputs; four charge lights; a guard against overheating; a slim shape for pockets",
                  "a short cable; a mesh pouch"),
            Thing("wall charger", "ABS plastic; recycled plastic; aluminum", "20 watt; 30 watt; 45 watt; 65 watt",
                  "delivers {size}; gives up to {size}",
                  "charging phones; feeding tablets; topping up earbuds; powering small laptops",
                  "two ports; folding prongs; a small status light; protection against short circuits",
                  "a charging cable; a travel sleeve", "2; 3"),
            Thing("wireless mouse", "ABS plastic; recycled plastic; aluminum", "3 inch; 4 inch; 5 inch",
                  "is {size} long; measures {size} from front to back",
                  "office work; editing photos; light games; giving talks",
                  "silent buttons; a wheel that runs smoothly; an on and off switch; a shape for either hand",
                  "a battery; a tiny receiver"),
            Thing("phone stand", "aluminum; bamboo; silicone; oak wood", "4 inch; 5 inch; 6 inch",
                  "is {size} tall; stands {size} high",
                  "video calls; following recipes; watching films; keeping maps in view",
                  "a slot for the cable; soft pads; a tilt that stays put; a weighted foot",
                  "a cleaning cloth; spare pads", "2; 4"),
            Thing("Bluetooth speaker", "aluminum; mesh; bamboo; ABS plastic", "5 watt; 10 watt; 20 watt; 30 watt",
                  "plays at {size}; has an output of {size}",
                  "music in the garden; podcasts in the kitchen; phone calls; small parties",
                  "clear highs; a warm bass; a splash-proof shell; large buttons; a loop to hang it up",
                  "a charging cable; a carry bag", "2"),
        ),
    ),
    "sports": Kind(
        room="gym", people="athletes",
        colors="electric blue; black; lime green; coral; graphite gray; purple",
        fits="a good choice for most adults; a popular choice; right for home training",
        care=("Wipe down after each session.", "Air-dry out of direct sun.", "Rinse off sweat with cool water.",
              "Check for wear before you train."),
        who=("Made for beginners and for athletes in training.", "Good at home, in the gym and outdoors.",
             "A fine gift for anyone who has just started to train.", "Coaches and clubs use {them} too."),
        close=("Your next session can start now.", "No excuses left.", "Train well.", "Made to be used hard."),
        brands={
            "Stridemoor": ("is owned by a group of runners", "a two-year guarantee"),
            "Kettlerun": ("equips small gyms", "a ten-year guarantee"),
            "Peakarro": ("tests its gear in the hills", "a three-year guarantee"),
            "Rallowell": ("began in a school sports hall", "a one-year guarantee"),
            "Trailhusk": ("keeps its gear light and easy to mend", "free repairs"),
        },
        things=(
            Thing("yoga mat", "natural rubber; foam; recycled plastic", "4 mm; 6 mm; 8 mm; 10 mm",
                  "is {size} thick; has a thickness of {size}",
                  "yoga; stretching; floor exercises; quiet rest",
                  "a surface that grips; lines that help you align; edges that do not curl; a soft underside",
                  "a carry strap; a mat towel"),
            Thing("kettlebell", "cast iron; zinc-plated steel; rubber",
                  "10 pound; 15 pound; 25 pound; 35 pound; 50 pound",
                  "weighs {size}; is a full {size}",
                  "swings; squats; presses; short home workouts",
                  "a wide handle; a flat base; a coat that does not chip; a weight mark on both sides",
                  "a workout chart; a floor pad", "2"),
            Thing("water bottle", "stainless steel; glass; recycled plastic; aluminum",
                  "16 ounce; 20 ounce; 24 ounce; 32 ounce",
                  "holds {size}; carries {size}",
                  "long runs; gym sessions; hiking; daily commutes",
                  "a lid that does not leak; a wide mouth for ice; a carry loop; a powder-coated outside",
                  "a straw lid; a cleaning brush", "2; 4"),
            Thing("trekking poles", "aluminum; carbon steel; bamboo", "43 inch; 48 inch; 53 inch",
                  "extends to {size}; reaches {size} at full length",
                  "steep climbs; long descents; snow walks; crossing streams",
                  "flip locks; padded straps; hard metal tips; grips that stay dry",
                  "snow baskets; rubber tips", "2", "pair"),
            Thing("jump rope", "nylon; leather; rubber; stainless steel", "8 foot; 9 foot; 10 foot",
                  "is {size} long; measures {size} before you trim it",
                  "warm-ups; boxing training; cardio at home; school sports",
                  "handles with ball bearings; a length you can adjust; a cord that does not twist; foam grips",
                  "a spare cord; a drawstring bag", "2; 5; 10"),
            Thing("resistance band", "natural rubber; nylon; silicone", "10 pound; 20 pound; 30 pound; 40 pound",
                  "pulls with {size}; gives a resistance of {size}",
                  "warm-ups; strength work; gentle rehab; travel workouts",
                  "an even stretch; a color code; edges that do not roll; a width that does not pinch",
                  "an exercise poster; a mesh bag", "3; 5"),
        ),
    ),
    "pet": Kind(
        room="home", people="pet owners",
        colors="red; navy blue; forest green; sand; pink; charcoal gray; orange",
        fits="a good size for most pets; the size most owners choose; a popular choice",
        care=("Wash with mild soap and let dry.", "Check now and then for worn spots.",
              "Rinse with clear water and dry in the shade.", "Replace when chewed through."),
        who=("Made for dogs and cats of all tempers.", "Good for new puppies and kittens and for old friends.",
             "A gift for people who have just brought a pet home.", "Vets and shelters use {them} too."),
        close=("Tails will wag.", "Your pet will know the difference.", "For a calm and happy home.",
               "Good pets deserve it."),
        brands={
            "Waggleby": ("is run by dog people", "a one-year guarantee"),
            "Purrowin": ("asks cats for their opinion first", "a money-back promise"),
            "Tailmoor": ("gives a part of its earnings to shelters", "a two-year guarantee"),
            "Furrowby": ("uses no harsh dyes or glues", "a three-year guarantee"),
            "Barkendale": ("makes gear for working dogs", "free replacement if chewed"),
        },
        things=(
            Thing("dog collar", "nylon; leather; cotton; recycled plastic", "12 inch; 16 inch; 20 inch; 24 inch",
                  "fits a neck of up to {size}; opens to {size}",
                  "daily walks; training; holding name tags; city outings",
                  "a strong D-ring; a quick buckle; a reflective thread; a padded inside",
                  "a blank name tag; a spare ring", "2; 3"),
            Thing("pet bed", "memory foam; plush; fleece; canvas", "20 inch; 24 inch; 30 inch; 36 inch",
                  "is {size} wide; measures {size} across",
                  "afternoon naps; sore joints; car trips; cold floors",
                  "a raised rim; a cover that zips off; a base that does not slip; a thick, even filling",
                  "a matching blanket; a spare cover"),
            Thing("cat scratching post", "oak wood; bamboo; recycled paper", "18 inch; 24 inch; 32 inch",
                  "stands {size} tall; is {size} high",
                  "sharpening claws; stretching; saving the sofa; play with other cats",
                  "a wide base; a thick wrap of sisal rope; a toy on a string; a perch on top",
                  "a bag of catnip; a spare toy"),
            Thing("food bowl", "stainless steel; stoneware; bamboo; silicone", "8 ounce; 16 ounce; 32 ounce",
                  "holds {size}; takes {size} of food or water",
                  "serving kibble; offering water; wet food; meals on the road",
                  "a rubber ring below; a low rim; a wide base that does not tip; a smooth inside",
                  "a silicone mat; a food scoop", "2; 3"),
            Thing("dog jerky", "salmon; chicken; slow-roasted", "6 ounce; 12 ounce; 16 ounce; 24 ounce",
                  "holds {size}; weighs {size}",
                  "training; rewarding good behavior; long walks; bedtime snacks",
                  "a soft bite; a small size that is easy to break; a short list of ingredients; no added sugar",
                  "a training tip card; a clip for the bag", "2; 3", "bag"),
            Thing("dog leash", "nylon; leather; rubber; canvas", "4 foot; 6 foot; 8 foot; 15 foot",
                  "is {size} long; gives your dog {size} of room",
                  "city walks; training; hiking; jogging with your dog",
                  "a padded handle; a swivel clip; a second grip near the collar; strong box stitching",
                  "a bag holder; a roll of bags", "2"),
        ),
    ),
    "beauty": Kind(
        room="bathroom", people="people with dry skin", option="scent",
        colors="lavender; rose; citrus; mint; sandalwood; vanilla; green tea; cedar",
        fits="enough for many weeks; a size that lasts; the size most people choose",
        care=("For external use only.", "Keep out of the eyes.", "Store in a cool, dry place.",
              "Test on a small patch of skin first."),
        who=("Made for normal and dry skin.", "Gentle enough for daily use.", "Suits all ages and skin types.",
             "A small luxury for a friend, or for yourself."),
        close=("Feel the difference after a week.", "Take a minute for yourself.", "Simple care that works.",
               "Your evening routine just got better."),
        brands={
            "Sabelline": ("mixes its goods in small batches", "a money-back promise"),
            "Aurelwyn": ("does not test on animals", "a satisfaction promise"),
            "Dewmarrow": ("grows many of its own herbs", "a fresh-batch promise"),
            "Velnessa": ("was started by two pharmacists", "a money-back promise"),
            "Crème Oriel": ("works from old French recipes", "a satisfaction promise"),
        },
        things=(
            Thing("body lotion", "shea butter; aloe vera; oat milk; argan oil", "8 ounce; 12 ounce; 16 ounce",
                  "holds {size}; contains {size}", "dry elbows; care after a shower; winter skin; a short massage",
                  "a light feel; no sticky film; a pump that locks; a mild formula",
                  "a travel-size tube; a sample sachet", "2; 3", "bottle"),
            Thing("bar soap", "shea butter; oat milk; aloe vera", "4 ounce; 5 ounce; 7 ounce",
                  "weighs {size}; is a full {size}", "washing hands; a morning shower; gentle shaving; travel",
                  "a rich lather; an easy-to-hold shape; no artificial color; fine oat flakes",
                  "a draining dish; a cloth bag", "3; 4; 6", "bar"),
            Thing("shampoo", "argan oil; aloe vera; oat milk", "8 ounce; 12 ounce; 24 ounce",
                  "holds {size}; contains {size}", "daily washing; dry hair; color-treated hair; an itchy scalp",
                  "a soft foam; a formula that rinses out fast; a flip-top cap; no heavy silicones",
                  "a sample of conditioner; a small comb", "2; 3", "bottle"),
            Thing("hand cream", "shea butter; argan oil; oat milk; aloe vera", "2 ounce; 3 ounce; 4 ounce",
                  "holds {size}; contains {size}", "cracked hands; garden days; dry office air; cold weather",
                  "a quick-drying feel; a small cap that stays with the tube; a thick, rich texture; a mild formula",
                  "a gift card sleeve; a nail file", "2; 3; 4", "tube"),
            Thing("lip balm", "shea butter; argan oil; aloe vera", "0.15 ounce; 0.25 ounce; 0.5 ounce",
                  "holds {size}; weighs {size}", "chapped lips; windy days; ski trips; daily care",
                  "a smooth glide; no shine; a twist-up case; a hint of beeswax",
                  "a pocket mirror; a cotton pouch", "3; 4; 6", "stick"),
        ),
    ),
    "food": Kind(
        room="pantry", people="hosts", option="flavor",
        colors="ginger peach; wild berry; vanilla; cinnamon; lemon; honey; cocoa; maple; mint",
        fits="enough for many servings; a size that stays fresh to the end; a good size for a household",
        care=("Store in a cool, dry place.", "Close tightly after each use.", "Use soon after opening.",
              "Keep away from heat and light."),
        who=("Good for breakfast, for guests and for a quiet break.", "A welcome gift for food lovers.",
             "Suits vegetarians.", "Guests will ask for the name."),
        close=("Enjoy.", "Put the kettle on, or set the table.", "Share it if you must.",
               "Good taste needs few words."),
        brands={
            "Hearthbarrow": ("buys from small farms", "a freshness promise"),
            "Lanternleaf": ("packs its goods within days of harvest", "a money-back promise"),
            "Spicewend": ("blends everything by hand", "a freshness promise"),
            "Oatmarrow": ("has a mill that runs on water", "a taste promise"),
            "Sorrelbee": ("keeps its own bees and herb fields", "a money-back promise"),
        },
        things=(
            Thing("black tea", "whole leaf; organic", "4 ounce; 8 ounce; 16 ounce",
                  "holds {size}; contains {size}", "breakfast; iced tea; afternoon guests; slow mornings",
                  "a bright, brisk taste; notes of malt; a deep red color; a clean finish",
                  "a paper of brewing tips; a measuring spoon", "2; 3; 6", "tin"),
            Thing("whole bean coffee", "slow-roasted; organic", "8 ounce; 12 ounce; 32 ounce",
                  "holds {size}; contains {size}", "espresso; filter coffee; cold brew; strong breakfast cups",
                  "a full body; a low acid taste; a lasting aroma; a hint of nuts",
                  "a brewing guide; a bag clip", "2; 3", "bag"),
            Thing("granola", "organic; slow-roasted; stone-ground", "10 ounce; 12 ounce; 16 ounce",
                  "holds {size}; contains {size}", "breakfast bowls; yogurt; trail snacks; baking",
                  "large clusters; a good crunch; seeds and nuts in each bite; not too much sugar",
                  "a recipe card; a resealable strip", "2; 4; 6", "bag"),
            Thing("pancake mix", "stone-ground; organic", "1 pound; 2 pound; 5 pound",
                  "weighs {size}; holds {size}", "weekend breakfasts; waffles; quick muffins; thin crepes",
                  "a fluffy crumb; a fine, even grind; a warm, nutty smell; no added sugar",
                  "a recipe card; a paper scoop", "2; 4", "bag"),
            Thing("dark chocolate", "organic; stone-ground; slow-roasted", "3 ounce; 6 ounce; 10 ounce",
                  "weighs {size}; is a full {size}", "dessert; baking; a small treat; gift baskets",
                  "a clean snap; a slow melt; a bitter-sweet taste; a long finish",
                  "a tasting card; a gift sleeve", "3; 5; 10", "bar"),
        ),
    ),
    "industrial": Kind(
        room="plant", people="mechanics", option="finish",
        colors="plain; polished; matte; satin; bright; black",
        fits="a standard size; so check the drawing before you order; made to a close tolerance",
        care=("Clean the seat before fitting.", "Do not exceed the rated load.", "Store dry and in the bag.",
              "Wear eye protection when you fit {them}."),
        who=("For workshops, plants and repair crews.", "Used in pumps, presses and conveyors.",
             "For trained staff.", "Made for maintenance and new builds."),
        close=("In stock for the next repair.", "Fit it and forget it.", "Small part, large effect.",
               "Keep a few on the shelf."),
        brands={
            "Ferrundal": ("turns parts to drawing and to stock", "full material papers"),
            "Coglane": ("supplies makers of farm machines", "a one-year guarantee"),
            "Pneumarch": ("makes parts for air and water lines", "a leak-test report"),
            "Gaskaline": ("cuts seals and gaskets day and night", "a two-year guarantee"),
            "Ductavane": ("serves heating and air firms", "full material papers"),
        },
        things=(
            Thing("ball bearing", "stainless steel; carbon steel; chrome vanadium", "8 mm; 10 mm; 12 mm; 17 mm; 20 mm",
                  "has a bore of {size}; fits a shaft of {size}",
                  "electric motors; skate wheels; pumps; small gear boxes",
                  "seals on both sides; grease for life; a deep groove; quiet running",
                  "a data sheet; a sealed sleeve", "2; 4; 10; 20"),
            Thing("hex bolt", "stainless steel; zinc-plated steel; brass", "20 mm; 30 mm; 40 mm; 60 mm; 80 mm",
                  "is {size} long; measures {size} below the head",
                  "machine frames; brackets; steel joints; outdoor fittings",
                  "a coarse thread; a clean hex head; a chamfered end; a stamped grade mark",
                  "matching washers; matching nuts", "10; 25; 50; 100"),
            Thing("hose clamp", "stainless steel; zinc-plated steel; nylon", "16 mm; 25 mm; 32 mm; 50 mm; 60 mm",
                  "closes on hoses of up to {size}; opens to {size}",
                  "fuel lines; garden pumps; air ducts; cooling hoses",
                  "rolled edges that do not cut; a slotted hex screw; a solid band; an even pull all round",
                  "a size chart; a spare screw", "2; 5; 10; 20"),
            Thing("O-ring", "nitrile rubber; silicone; natural rubber", "10 mm; 15 mm; 22 mm; 30 mm; 45 mm",
                  "has an inner width of {size}; fits a groove of {size}",
                  "pumps; taps; hydraulic lines; filter housings",
                  "a smooth flash-free surface; an even section; a snug fit; a long service life",
                  "a small tub of grease; a data sheet", "5; 10; 25; 50"),
            Thing("ball valve", "brass; stainless steel; plastic", "10 mm; 15 mm; 20 mm; 25 mm",
                  "fits a pipe of {size}; has a full bore of {size}",
                  "water lines; compressed air; heating loops; drain points",
                  "a lever that shows its state; a double stem seal; threaded ends; a quarter-turn action",
                  "a roll of thread tape; a spare seal", "2; 4; 5"),
            Thing("drive belt", "rubber; nitrile rubber; polyester", "20 inch; 32 inch; 40 inch; 55 inch",
                  "has a length of {size}; measures {size} around",
                  "mowers; fans; lathes; washing machines",
                  "a notched inside; cords that do not stretch; flanks ground to shape; low noise",
                  "a fitting sheet; a storage sleeve", "2; 3"),
        ),
    ),
    "home": Kind(
        room="living room", people="families",
        colors="ivory; dusty rose; slate blue; sage green; mustard yellow; charcoal gray; terracotta; white",
        fits="a good size for most rooms; easy to place; made to common measures",
        care=("Machine wash on a gentle cycle.", "Shake out and air now and then.", "Wipe or brush clean.",
              "Keep away from open flames."),
        who=("For families, guests and quiet evenings.", "A housewarming gift that always fits.",
             "Good for bedrooms, dens and guest rooms.", "Made for people who like to stay in."),
        close=("Make yourself at home.", "Small change, warm room.", "Comfort you can see.",
               "Home looks better already."),
        brands={
            "Dovemere": ("weaves and sews in small workshops", "a three-year guarantee"),
            "Quiltarrow": ("began with one quilt and one loom", "a lifetime repair promise"),
            "Nestholm": ("designs for small homes", "a two-year guarantee"),
            "Softmarl": ("dyes its cloth with less water", "a money-back promise"),
            "Café Brindle": ("brings the look of an old café into the home", "a one-year guarantee"),
        },
        things=(
            Thing("throw blanket", "fleece; merino wool; cotton; plush", "50 inch; 60 inch; 70 inch",
                  "is {size} wide; measures {size} on the long side",
                  "cool evenings; reading; naps on the sofa; picnics",
                  "a fringed edge; a double hem; a soft drape; a woven pattern", "a ribbon; a storage bag", "2"),
            Thing("table lamp", "brass; stoneware; oak wood; glass", "14 inch; 18 inch; 22 inch",
                  "stands {size} tall; is {size} high",
                  "bedside reading; lighting a hallway; a soft glow in the evening; dressing up a shelf",
                  "a linen shade; a cord switch; a felt foot; a slim neck", "a spare shade ring; a bulb", "2"),
            Thing("bath towel", "cotton; organic cotton; linen; microfiber", "40 inch; 54 inch; 60 inch",
                  "is {size} long; measures {size} from end to end",
                  "drying off; beach trips; guests; the gym",
                  "a hanging loop; a thick pile; edges that do not fray; a plain border",
                  "a wash bag; a matching face cloth", "2; 4; 6"),
            Thing("wall clock", "oak wood; bamboo; brass; glass", "10 inch; 12 inch; 16 inch",
                  "measures {size} across; is {size} wide",
                  "kitchens; hallways; classrooms; home offices",
                  "a silent movement; large numerals; a slim frame; hands that are easy to read",
                  "a wall hook; a battery"),
            Thing("throw pillow", "linen; cotton; plush; memory foam", "16 inch; 18 inch; 20 inch",
                  "is {size} square; measures {size} on each side",
                  "sofas; reading nooks; guest beds; garden benches",
                  "a hidden zip; piped edges; a cover that comes off; a full, springy filling",
                  "a spare cover; a care card", "2; 4"),
            Thing("storage basket", "bamboo; cotton; recycled plastic; canvas", "10 inch; 13 inch; 16 inch",
                  "is {size} wide; measures {size} at the rim",
                  "tidying toys; storing blankets; holding laundry; sorting magazines",
                  "two handles; a shape that keeps itself upright; a soft lining; a flat base",
                  "a label holder; a cloth liner", "2; 3"),
        ),
    ),
}  # fmt: skip

# ------------------------------------------------------------------------------------------------------------- books

ADJECTIVES = split(
    "Silver; Broken; Hidden; Quiet; Winter; Crimson; Forgotten; Golden; Burning; Lost; Painted; Hollow; Secret; "
    "Iron; Midnight; Paper; Blue; Borrowed; Silent; Amber; Wandering; Lonely; Glass; Bitter; Salt; Green; Stolen; "
    "Clockwork; Velvet; Distant; Narrow; Scarlet"
)
OBJECTS = split(
    "Key; Letter; Lantern; Mirror; Map; Bell; Crown; Compass; Violin; Feather; Portrait; Locket; Clock; Ring; "
    "Diary; Harp; Candle; Coin; Necklace; Manuscript; Mask; Quilt; Photograph; Sword; Kite; Flute; Teapot; "
    "Umbrella; Box; Button; Spyglass; Drum; Medal; Shawl; Basket; Scarf"
)

# (genre, series, author, hero, pronoun, what the hero is, home, places): a title names the series, the hero or a place.
SERIES = tuple(
    (genre, series, author, hero, he, job, home, split(places))
    for genre, series, author, hero, he, job, home, places in (
        ("mystery", "Maud Calloway Mysteries", "Petra Lindqvist-Hume", "Maud Calloway", "she", "retired librarian",
         "Pellam Bay", "Pellam Bay; Gorse Cottage; Saint Orla's; Crab Lane"),
        ("mystery", "Inspector Varga Mysteries", "Tomas Ellerbeck", "Inspector Varga", "he", "tired inspector",
         "Old Marnitz", "Old Marnitz; the Opera Steps; Linden Square; Platform Nine"),
        ("mystery", "Beekeeper Mysteries", "Oona Farraday", "Hettie Brandreth", "she", "beekeeper",
         "Lower Quenby", "Lower Quenby; Hive Hill; Quenby Hall; the Village Green"),
        ("thriller", "Kessler Files", "Dane Rourkewell", "Mila Kessler", "she", "former codebreaker",
         "Brennhaven", "Brennhaven; Dock Seven; the North Tunnel; Cold Harbor Station"),
        ("thriller", "Night Courier", "Ivo Castellan-Reyes", "Jonah Tripp", "he", "motorcycle courier",
         "Port Vasser", "Port Vasser; Tunnel Street; the Ninth Pier; Vasser Bridge"),
        ("fantasy", "Chronicles of Ismareth", "Elowen Thackrath", "Kael of Ismareth", "he", "young mapmaker",
         "Ismareth", "Ismareth; the Ashen Pass; Thornmere; the Singing Caves"),
        ("fantasy", "Salt Witch Saga", "Bryn Halloway-Moss", "Sefa Tideborn", "she", "salt witch",
         "the Drowned Isles", "the Drowned Isles; Gull Keep; the Kelp Throne; Stormwatch"),
        ("fantasy", "Lamplighter's Guild", "Corvin Ashdell", "Tobin Wick", "he", "lamplighter's apprentice",
         "Gloamford", "Gloamford; the Lamp Quarter; Wick Tower; the Unlit Street"),
        ("romance", "Harbor Hearts", "Delia Marchbanks", "Nora Quillfeather", "she", "pastry cook",
         "Sandpiper Cove", "Sandpiper Cove; the Blue Bakery; Driftwood House; Gull Street"),
        ("romance", "Vineyard Letters", "Zoë Márquez-Thorne", "Inés Albarado", "she", "winemaker",
         "Valdorra", "Valdorra; the Long Terrace; Casa Albarado; the Olive Road"),
        ("science fiction", "Orbit of Tamsin", "Rafe Okonjo-Bell", "Tamsin Vale", "she", "salvage pilot",
         "Station Merrow", "Station Merrow; the Outer Ring; Dust Colony; the Quiet Moon"),
        ("science fiction", "Glass Colony", "Yuki Andersdotter", "Dr. Arlo Finch", "he", "plant biologist",
         "New Caldera", "New Caldera; Dome Four; the Red Flats; the Seed Vault"),
        ("historical novel", "Weavers of Corran", "Fiona Strathallen", "Ailsa Corran", "she", "weaver's daughter",
         "Glen Corran", "Glen Corran; the Loom House; Strath Mill; the Drovers' Road"),
        ("historical novel", "House of Bellacqua", "Łucja Bellandi", "Marco Bellacqua", "he", "glassmaker",
         "Torvenza", "Torvenza; the Glass Quay; Palazzo Bellacqua; the Island of Furnaces"),
        ("picture book", "Pip the Hedgehog", "Wanda Ferngrove", "Pip the Hedgehog", "he", "very small hedgehog",
         "Bramblewood", "Bramblewood; Puddle Pond; the Big Oak; Mushroom Lane"),
        ("picture book", "Captain Otter", "Milo Bexhill", "Captain Otter", "she", "cheerful otter",
         "Splash Harbor", "Splash Harbor; Pebble Island; the Foggy Reef; Seaweed Bay"),
    )
)  # fmt: skip

# Plot sentences of a genre, built on the words of the title.
PLOTS = {
    "mystery": (
        "When {a_thing} vanishes from {place}, {hero} is the first to ask why.",
        "A body is found at {place}, and beside it lies {a_thing}.",
        "Nobody in {home} wants to talk about the {thing}, least of all the family that owns it.",
        "{hero}, a {job}, knows that the {thing} is only the first clue.",
        "By the time the fog lifts over {home}, {he} has three suspects and one very good question.",
        "Old quarrels wake, and {he} must find the truth before someone else dies.",
    ),
    "thriller": (
        "A message reaches {hero} at {place}: find the {thing} before dawn.",
        "{hero}, a {job}, thought that {he} had left that life behind.",
        "Someone in {home} will kill for the {thing}, and {he} has only one night.",
        "Every door at {place} is watched, and every friend has a price.",
        "The chase runs from {home} to the border and back again.",
        "The closer {he} gets to the {thing}, the less {he} knows whom to trust.",
    ),
    "fantasy": (
        "In {home}, the {thing} has slept for a thousand years, and now it wakes.",
        "{hero} is only a {job}, until the {thing} calls {him} by name.",
        "The road leads to {place}, where old magic is guarded by older fears.",
        "Three kingdoms want the {thing}, and only one of them can be trusted.",
        "{He} must learn what the {thing} asks in return for its power.",
        "Friends are won and lost on the way, and the sky over {home} turns dark.",
    ),
    "romance": (
        "When {hero} returns to {home}, {he} does not expect to find {a_thing} or the man who hid it.",
        "A {job} with a plan and a stranger with a secret meet at {place}.",
        "The {thing} brings two families together who have not spoken for years.",
        "Summer in {home} is short, and {he} has until its end to decide.",
        "Neither of them is looking for love, but {place} has a way of changing minds.",
        "Old letters, long walks and one honest talk lead to a happy end.",
    ),
    "science fiction": (
        "Far from home, {hero} picks up a signal from {place}.",
        "{hero} is a {job} who does not believe in ghosts, but the {thing} should not exist.",
        "When the {thing} is found near {home}, two fleets turn to take it.",
        "The air in {home} will last for nine days, and the answer lies in the {thing}.",
        "{He} must choose between the crew and the truth.",
        "Ideas about memory, machines and trust drive this fast story.",
    ),
    "historical novel": (
        "In {home}, the {thing} is all that {hero} has left of the past.",
        "{hero}, a {job}, is forced to leave {place} when war comes.",
        "The {thing} passes from hand to hand through hunger, fire and peace.",
        "Through {his} eyes we see how {home} changes within a single life.",
        "{He} keeps a secret about the {thing} that could ruin two families.",
        "The details of work, food and weather are exact and never slow the tale.",
    ),
    "picture book": (
        "{hero} has lost the {thing}, and everyone at {place} helps to look.",
        "One morning {hero} finds {a_thing} near {place}. Who can have left it there?",
        "All the animals in {home} want to see the {thing}.",
        "{hero} is a {job} with very big ideas.",
        "Is the {thing} too big to carry? {hero} has a plan.",
        "On the last page there is a surprise that children ask for again and again.",
    ),
}

READERS = {
    "mystery": "readers who like a puzzle, a village and a pot of tea",
    "thriller": "readers who do not want to sleep tonight",
    "fantasy": "readers who love maps, magic and long journeys",
    "romance": "readers who want warmth, wit and a happy end",
    "science fiction": "readers who like big ideas and real people",
    "historical novel": "readers who want to step into another time",
    "picture book": "reading aloud at bedtime",
}

FICTION_SLOTS = {
    "open": ("{title_short} is a {genre} by {author}.", "{author} takes us to {home} in this {genre}.",
             "A {genre} set in {home}, written by {author}.", "Welcome to {home}, the home of {hero}.",
             "In {title_short}, {author} tells a story of {home}."),
    "plot": (), "plot2": (), "plot3": (), "plot4": (),
    "series": ("{title_short} is book {book} of the {series}.", "This is book {book} in the {series}.",
               "Book {book} of the {series} can be read on its own."),
    "mood": ("At its heart, the book is about trust and about what we owe each other.",
             "The prose is clear, the dialogue is sharp and the end is earned.",
             "It is funny in places, sad in others and hard to put down.",
             "Small scenes stay in the mind long after the last page."),
    "praise": ('"A story to get lost in," writes the {paper} Gazette.',
               '"I read it in one sitting." - The Reading Lamp.',
               "\"{author}'s best book so far.\" - Page & Candle.",
               '"Warm, clever and full of surprises." - Inkwell Review.',
               "\"You won't see the end coming.\" - The Reading Lamp."),
    "reader": ("A fine choice for {reader}.", "Made for {reader}.", "It's a book for {reader}."),
    "author": ("{author} is the author of the {series}.",
               "{author} lives by the sea with two dogs and a great many books.",
               "{author} has written about {hero} for many years."),
    "close": ("You won't want to leave {home}.", "Readers who meet {hero} here will want the other books as well.",
              "A new favorite, and not only for a rainy day."),
}  # fmt: skip

# (subject, author, what its author is, topics): nonfiction. Topics stand in the subtitle.
SUBJECTS = tuple(
    (subject, author, job, split(topics))
    for subject, author, job, topics in (
        ("Bread Baking", "Hannes Oberfeld", "baker", "sourdough; rye; flatbread; shaping; crust; rolls"),
        ("Watercolor", "Celia Wrenfield", "painter", "skies; trees; washes; light; rivers; portraits"),
        ("Vegetable Gardening", "Rosa Timberlake-Ng", "gardener",
         "soil; compost; tomatoes; beans; herbs; winter crops"),
        ("Home Plumbing", "Gus Halvorsen-Pike", "plumber", "taps; drains; pipes; leaks; boilers; toilets"),
        ("Bird Watching", "Amara Finchley-Odu", "bird guide", "wrens; hawks; nests; songs; migration; feathers"),
        ("Knitting", "Greta Solheim-Ross", "knitter", "socks; scarves; cables; lace; sweaters; mittens"),
        ("Personal Finance", "Leon Abernaty", "bookkeeper", "budgets; saving; debt; pensions; taxes; rent"),
        ("World History", "Dr. Mirela Constantin-Hale", "historian", "trade; empires; ships; cities; plagues; roads"),
        ("Dog Training", "Sonny Mapleton", "dog trainer", "recall; leash walks; barking; puppies; tricks; calm"),
        ("Bicycle Repair", "Ingrid Vosswinkel", "mechanic", "brakes; gears; chains; wheels; hubs; tires"),
        ("Indian Cooking", "Leela Raghavendra-Moor", "cook", "lentils; spices; rice; chutney; breads; curries"),
        ("Yoga", "Noemí Sandoval-Wray", "yoga teacher", "breath; balance; backs; sleep; strength; rest"),
        ("Chess", "Viktor Amblesid", "chess coach", "openings; endgames; tactics; traps; pawns; plans"),
        ("Photography", "Ezra Lamplough", "photographer", "light; portraits; landscapes; focus; color; night"),
        ("Garden Birdhouses", "Walt Ostergren", "carpenter", "joints; roofs; paint; mounting; nest boxes; feeders"),
        ("Statistics", "Prof. Nadia Elverhoy", "teacher", "samples; charts; averages; chance; surveys; errors"),
    )
)  # fmt: skip
APPROACHES = split(
    "Simple; Practical; Everyday; Modern; Classic; Patient; Clear; Thrifty; Weekend; Complete; Steady; First"
)
# (title, readers, what the number in the title counts)
FORMS = (
    ("{approach} {subject}: {A} and {B} for Beginners", "beginners", ""),
    ("{approach} {subject}: {N} Lessons on {A} and {B}", "people who learn step by step", "lesson"),
    ("The {approach} {subject} Handbook: From {A} to {B}", "people who want one book on the shelf", ""),
    ("{N} Answers on {subject}: {approach} Help with {A} and {B}", "people with a question and no time", "answer"),
    ("The {approach} Guide to {subject}: {A}, {B} and {C}", "readers at every level", ""),
    ("{subject} in {N} Days: {approach} Lessons on {A} and {B}", "people in a hurry", "day"),
)

NONFICTION_SLOTS = {
    "open": ("{title_short} is {an_approach} book on {subject_low} by {author}.",
             "{author}, a {job} by trade, shows how {subject_low} works, from {a} to {b}.",
             "Learn {subject_low} from {author}, a {job} with years of practice.",
             "This {approach_low} book on {subject_low} is written for {readers}."),
    "topic": ("The first part is about {a}, the second about {b}.", "Clear chapters lead from {a} to {b}.",
              "Readers learn about {a} and {b} with drawings on every page.",
              "The chapters on {a} are the heart of the book."),
    "topic2": ("There is a long section on {c} as well.", "A chapter on {c} rounds things off.",
               "Along the way, {author} also explains {c}."),
    "number": ("The book is split into {n} {unit}s.", "The {n} {unit}s build on each other.",
               "Each of the {n} {unit}s takes only a few pages."),
    "style": ("The tone is friendly, and no earlier knowledge is needed.",
              "Photos show each step, and mistakes are explained.",
              "It's {an_approach} approach that saves time and money.", "Every tip was tried out in real life first."),
    "author": ("{author} is a {job} who has taught {subject_low} for many years.",
               "As a {job}, {author} knows what beginners get wrong.", "{author} writes the way a good {job} talks."),
    "praise": ('"The book on {subject_low} that I wish I\'d had," writes the Inkwell Review.',
               '"Clear, kind and useful." - Page & Candle.',
               '"Finally, {a} explained in plain words." - The Reading Lamp.'),
    "reader": ("Written for {readers}.", "A good gift for {readers}.",
               "Ideal for {readers} and for anyone who's curious."),
    "close": ("Keep it within reach; you'll use it often.", "With an index and a list of further reading.",
              "After this book, {subject_low} won't be a mystery any more."),
}  # fmt: skip

# ------------------------------------------------------------------------------------------------------------- music

# (artist, style, line-up, label): a title names the artist.
ARTISTS = (
    ("The Marlow Lane Quintet", "jazz", "saxophone, trumpet, piano, bass and drums", "Lampblack Records"),
    ("Odette Farwell Trio", "jazz", "piano, bass and brushes", "Lampblack Records"),
    ("Cass Underhay", "blues", "slide guitar and harmonica", "Mudlark Sound"),
    ("The Rustbucket Brothers", "bluegrass", "banjo, fiddle, mandolin and bass", "Mudlark Sound"),
    ("Silja Norrbrook", "folk", "voice, guitar and kantele", "Fern & Hollow"),
    ("The Tidewrack Singers", "folk", "four voices and a concertina", "Fern & Hollow"),
    ("Velvet Tollgate", "soul", "horns, organ and a deep rhythm section", "Ninth Alley Sound"),
    ("Ruby Castellane", "soul", "a big voice, strings and electric piano", "Ninth Alley Sound"),
    ("The Paper Comets", "indie rock", "two guitars, bass, drums and a toy piano", "Attic Window"),
    ("Gravel Saints", "rock", "loud guitars, bass and drums", "Attic Window"),
    ("Lumen Arcade", "electronic music", "synthesizers and drum machines", "Circuit Garden"),
    ("Nocturne Motel", "electronic music", "slow beats, tape loops and vibraphone", "Circuit Garden"),
    ("The Aldermoor String Quartet", "classical music", "two violins, viola and cello", "Sonata House"),
    ("Pavel Dvorsin", "classical music", "solo piano", "Sonata House"),
    ("Dusty Halloran", "country", "voice, steel guitar and fiddle", "Prairie Gate"),
    ("June Wexley & the Fence Posts", "country", "voice, guitar, dobro and drums", "Prairie Gate"),
    ("Kwabena Solari", "Afrobeat", "horns, percussion and electric guitar", "Harbor Drum"),
    ("Beatriz Coração", "bossa nova", "voice, nylon-string guitar and flute", "Harbor Drum"),
    ("The Giggle Wagon Band", "children's music", "ukulele, kazoo and a choir of kids", "Bright Button"),
    ("Choir of Saint Elswith", "choral music", "forty voices and organ", "Sonata House"),
)  # fmt: skip
ALBUM_NOUNS = split(
    "Rivers; Windows; Roads; Lights; Letters; Stations; Gardens; Mornings; Harbors; Rooms; Bells; Shadows; Summers; "
    "Mirrors; Bridges; Birds; Trains; Islands; Kitchens; Winters; Strangers; Mountains; Rooftops; Tides; Sundays; "
    "Clouds"
)
PRESSINGS = (
    ("", ""),
    ("Live", "recorded live in front of a full house"),
    ("Remastered", "remastered from the first tapes"),
    ("2 CD Set", "spread over 2 discs"),
    ("Vinyl LP", "pressed on heavy vinyl"),
    ("Deluxe Edition", "with bonus tracks and a thick booklet"),
    ("Acoustic", "played without amplifiers"),
)

MUSIC_SLOTS = {
    "open": ("{album} is {a_style} album by {artist}.", "On {album}, {artist} plays {style} the way it should sound.",
             "{artist} returns with {album}, a record of {style} to come back to.",
             "With {album}, {artist} gives us {style} at its best.",
             "{Style} fans know {artist}, and {album} shows why."),
    "band": ("The sound rests on {lineup}.", "You hear {lineup}, and nothing more is needed.",
             "The line-up is {lineup}.", "Recorded with {lineup}, it sounds close and warm."),
    "songs": ("The album has {n} songs.", "All {n} songs are new.", "The {n} songs were written within a single year."),
    "pressing": ("This is the {pressing} version, {pressing_text}.", "This edition is {pressing_text}.",
                 "Note the {pressing} label: the album is {pressing_text}."),
    "tracks": ('Highlights are "{track1}" and "{track2}".', 'Listen to "{track1}" first, then to "{track2}".',
               'The opening song, "{track1}", sets the tone, and "{track2}" closes the circle.'),
    "tracks2": ('"{track3}" is the song you\'ll hum tomorrow.', 'Fans also ask for "{track3}" at every concert.',
                'Don\'t miss "{track3}".'),
    "mood": ("It's music about {theme} and about the people we meet there.",
             "The mood is calm at first and bright at the end.",
             "Each song tells a small story of {theme}.", "The playing is loose, but never careless."),
    "label": ("Released on {label}.", "{label} brings out the album with a printed booklet.",
              "It's one of the finest records in the {label} catalog."),
    "praise": ('"A record that breathes." - Groove & Needle.',
               '"{artist} has never sounded better." - The Backbeat Post.',
               "\"{Style} doesn't get much better than this.\" - Groove & Needle."),
    "reader": ("For anyone who loves {style}.", "A fine first album for people who are new to {style}.",
               "{Style} lovers will want {album} in their collection."),
    "close": ("Turn the lights down and listen.", "Play it twice; it grows.", "Best heard from start to end."),
}  # fmt: skip

# -------------------------------------------------------------------------------------------------------- gift cards

# Store: its two texts. As in the real file, every card of a store carries one of them, so they repeat word for word.
STORES = {
    "Copperpot Kitchen Supply": (
        "Copperpot Kitchen Supply sells pots, pans and knives for home cooks. "
        "The card works in all stores and has no fees.",
        "Give a cook something to look forward to. The Copperpot Kitchen Supply gift card never expires & can be "
        "used online."),
    "Bluefinch Books": (
        "Let them choose their next book. The Bluefinch Books gift card is good for books, maps and paper goods.",
        "The Bluefinch Books gift card never expires and can be used in each of our shops and on our web site."),
    "Marlow Lane Cafe": (
        "Treat a friend to coffee and cake. The Marlow Lane Cafe gift card works at all of our cafes. No returns.",
        "Soup, sandwiches, fresh bread and good coffee: the Marlow Lane Cafe gift card pays for all of it."),
    "Trailhusk Outfitters": (
        "Boots, tents and warm socks: the Trailhusk Outfitters gift card is the gift for everyone who would rather "
        "be outside.",
        "The Trailhusk Outfitters gift card has no fees. Use it in stores, online or by phone."),
    "Tumblewick Toy Shops": (
        "Toys without screens for children of all ages. The Tumblewick Toy Shops gift card can be used in any shop.",
        "Let the child pick! The Tumblewick Toy Shops gift card comes in a colorful sleeve and does not expire."),
    "Spruce & Vane Pizza": (
        "Hot pizza, cold drinks and a table for everyone. The Spruce & Vane Pizza gift card is good at every location.",
        "Share a meal. The Spruce & Vane Pizza gift card can be used for dine-in, takeout and delivery."),
    "Lumina Arc Cinemas": (
        "Tickets, popcorn and a dark room with friends. The Lumina Arc Cinemas gift card is good for all shows.",
        "The Lumina Arc Cinemas gift card can be used at the box office, at the snack bar and online."),
    "Hearthbarrow Bakery": (
        "Fresh bread every morning. The Hearthbarrow Bakery gift card buys loaves, rolls, cakes and coffee.",
        "A warm gift for cold days: the Hearthbarrow Bakery gift card is accepted at all counters."),
}  # fmt: skip
OCCASIONS = split(
    "Happy Birthday; Thank You; Congratulations; Wedding Day; Happy Holidays; Get Well Soon; Graduation; New Home; "
    "New Baby; Good Luck; Best Teacher; Retirement"
)
CARD_FORMS = split("Gift Card; Gift Card in a Gift Box; Gift Card in a Tin; E-mail Gift Card; Print at Home Gift Card; "
                   "Gift Cards, Pack of 3; Gift Cards, Pack of 5; Gift Card with Greeting Card")  # fmt: skip

# ------------------------------------------------------------------------------------------------------------- adult

# Real catalogues hold adult items, which a course must filter out. These are named plainly and describe nothing.
ADULT = (
    ("{adjective} Nights: An Erotic Romance Novel, Book {n}",
     "An erotic romance novel for mature readers. Adults only: not for sale to anyone below the legal age."),
    ("{adjective} Party Card Game for Couples, Adults Only, {n} Cards",
     "A novelty gift with {n} cards. Adults only. Meant for couples and hen parties."),
    ("{adjective} Adult Novelty Gift Box, {n} Pieces",
     "A humorous adult novelty gift with {n} pieces. For adults only, sold in a plain box."),
)  # fmt: skip
