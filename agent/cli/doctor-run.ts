/** `countersign doctor`: how it tells what it found. */
import { type Finding, type Level } from '../host/doctor/finding.ts';
import { examineHost } from '../host/doctor/examine.ts';
import type { PlaceOptions } from './host.ts';
import { placesOf } from './host-places.ts';
import { EXIT_DONE, EXIT_FAILED } from './program.ts';

const colours: Readonly<Record<Level, string>> = { ok: '\u001b[32m', warn: '\u001b[33m', fail: '\u001b[31m' };

/** @returns exit status: 1 when something fails */
export async function runDoctor(options: PlaceOptions): Promise<number> {
  const findings = await examineHost(placesOf(options));
  process.stdout.write(options.json === true ? formatJson(findings) : formatText(findings, process.stdout.isTTY));
  return findings.some(({ level }) => level === 'fail') ? EXIT_FAILED : EXIT_DONE;
}

function formatJson(findings: readonly Finding[]): string {
  return `${JSON.stringify(findings, null, 2)}\n`;
}

export function formatText(findings: readonly Finding[], colour: boolean): string {
  return findings.map((finding) => formatFinding(finding, colour)).join('');
}

function formatFinding({ level, message, advice }: Finding, colour: boolean): string {
  const word = level.padEnd(4);
  const mark = colour ? `${colours[level]}${word}\u001b[0m` : word;
  const next = advice === undefined ? '' : `${advice.replace(/^/gm, '       ')}\n`;
  return `${mark}  ${message}\n${next}`;
}
