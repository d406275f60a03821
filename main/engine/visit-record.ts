import { HomewardError } from '../../shared/errors.ts';
import type { Vm } from '../../shared/model/vm.ts';
import { VisitRecord } from '../migrate/index.ts';
import type { Journal } from './journal.ts';

export const visitDamaged =
  'Its disk is at home, whatever became of the VM: shut it down from inside. See: homeward doctor';

/** What was written of the visit a VM is in. @throws HomewardError `damaged-file` */
export function visitRecordOf(journal: Pick<Journal, 'place'>, { name, uuid }: Pick<Vm, 'name' | 'uuid'>): VisitRecord {
  const record = VisitRecord.safeParse(journal.place(uuid)?.data);
  if (record.success) return record.data;
  throw new HomewardError('damaged-file', `What was written of ${name}'s visit cannot be read.`, {
    hint: visitDamaged,
  });
}
