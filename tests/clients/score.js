// What the sessions in Node count, and how they end.
"use strict";

const assert = require("assert");

let passed = 0;
let failed = 0;

exports.check = function check(name, got, expected) {
  try {
    assert.deepStrictEqual(got, expected);
    passed += 1;
  } catch {
    exports.fail(`${name}: got ${JSON.stringify(got)}, expected ${JSON.stringify(expected)}`);
  }
};

exports.fail = function fail(what) {
  failed += 1;
  console.log(`FAILED ${what}`);
};

exports.end = function end(title) {
  console.log(`${title}: ${passed} passed, ${failed} failed`);
  process.exit(failed === 0 ? 0 : 1);
};
