# Makes real pictures of different sizes, JPEG and PNG by turns. Sourced after install.sh.

need_picture_tool() { need_python_tools pillow; }

# make_pictures DIRECTORY COUNT
make_pictures() {
    mkdir -p "$1"
    limited 120 "$PYTHON" - "$1" "$2" <<'END'
import os, sys
from PIL import Image
for number in range(1, int(sys.argv[2]) + 1):
    width = 120 + number * 24
    noise = Image.effect_noise((width, width * 3 // 4), 40)
    slope = Image.linear_gradient("L").resize(noise.size)
    picture = Image.merge("RGB", (noise, slope, noise.rotate(180)))
    name = "picture-%02d.%s" % (number, "png" if number % 4 == 0 else "jpg")
    picture.save(os.path.join(sys.argv[1], name), quality=90)
END
}
