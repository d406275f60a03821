export interface Requirement {
  readonly why: string;
  readonly commands?: readonly string[];
  readonly files?: readonly string[];
  readonly staticFiles?: readonly string[];
  readonly onlyForTests?: true;
  readonly onlyForWorkloads?: true;
  readonly apt: string;
  readonly dnf: string;
  readonly pacman: string;
}
export declare const requirements: readonly Requirement[];
