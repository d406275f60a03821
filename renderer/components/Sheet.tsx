import type { ReactNode } from 'react';
import { Dialog, Heading, Modal, ModalOverlay } from 'react-aria-components';

interface SheetProps {
  readonly title: string;
  readonly open: boolean;
  readonly onClose: () => void;
  /** A question that must be answered: neither Escape nor a click beside it closes it. */
  readonly urgent?: boolean;
  readonly children: ReactNode;
}

/** A dialog over the page. */
export function Sheet({ title, open, onClose, urgent = false, children }: SheetProps): ReactNode {
  return (
    <ModalOverlay
      className="sheet-backdrop"
      isOpen={open}
      isDismissable={!urgent}
      isKeyboardDismissDisabled={urgent}
      onOpenChange={(next) => {
        if (!next) onClose();
      }}
    >
      <Modal className="sheet">
        <Dialog className="sheet-content" role={urgent ? 'alertdialog' : 'dialog'}>
          <Heading slot="title" className="sheet-title">
            {title}
          </Heading>
          {children}
        </Dialog>
      </Modal>
    </ModalOverlay>
  );
}
