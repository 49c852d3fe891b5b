"""Fees: the tariff, cash, transfers by VietQR, waivers, refunds, receipts."""
