// A binary min-heap of numbers: the priority queue of the byte-pair merges. To stay cheap for a million entries, it has no
// comparison function and no removal from the middle.

export class MinHeap {
  readonly #keys: number[] = [];

  push(key: number): void {
    const keys = this.#keys;
    let child = keys.length;
    keys.push(key);
    while (child > 0) {
      const parent = (child - 1) >> 1;
      if (keys[parent]! <= key) break;
      keys[child] = keys[parent]!;
      child = parent;
    }
    keys[child] = key;
  }

  /** Takes the smallest key out; undefined when the heap is empty. */
  pop(): number | undefined {
    const keys = this.#keys;
    const smallest = keys[0];
    const last = keys.pop();
    if (last === undefined || keys.length === 0) return smallest;
    let parent = 0;
    for (let child = 1; child < keys.length; child = 2 * parent + 1) {
      if (child + 1 < keys.length && keys[child + 1]! < keys[child]!) child++;
      if (last <= keys[child]!) break;
      keys[parent] = keys[child]!;
      parent = child;
    }
    keys[parent] = last;
    return smallest;
  }
}
