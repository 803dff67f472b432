"""Writes the weighted mean of two checkpoints of the same shape.

    python training/blend.py --first models/tiny --second path/to/run --share 0.3 --out path/to/blend

When one checkpoint was trained on from the other, a point on the line between them often predicts better than either
end: what both have learned adds up, and the noise of their last steps partly cancels. `--share` is the second one's
part. Try a few values and compare them with evaluate.py.
"""

import argparse
from pathlib import Path

from model import load_checkpoint, save_checkpoint


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=Path, required=True, help="checkpoint directory")
    parser.add_argument("--second", type=Path, required=True, help="checkpoint directory of the same shape")
    parser.add_argument("--share", type=float, default=0.5, help="weight of the second, from 0 to 1")
    parser.add_argument("--out", type=Path, required=True, help="folder of the new checkpoint")
    args = parser.parse_args()
    first, second = load_checkpoint(args.first), load_checkpoint(args.second)
    if first.sizes != second.sizes:
        parser.error(f"the shapes differ: {first.sizes} and {second.sizes}")
    other = second.state_dict()
    mean = {name: value.lerp(other[name], args.share) for name, value in first.state_dict().items()}
    save_checkpoint(args.out, first.sizes, mean)


if __name__ == "__main__":
    main()
