// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Which key makes an X11 symbol. VNC clients send symbols, and the guest's keyboard has keys: those
 * of a US layout, in scan code set 1.
 */
#include <rfb/keysym.h>

#include "base/platform.h"
#include "devices/vnc.h"

/* By make code: the symbol of a key alone, and with Shift; 0: none of ASCII. */
static const char plain[] =
	"\0\0331234567890-=\b\tqwertyuiop[]\r\0asdfghjkl;'`\0\\zxcvbnm,./\0\0\0 ";
static const char shifted[] =
	"\0\0!@#$%^&*()_+\0\0QWERTYUIOP{}\0\0ASDFGHJKL:\"~\0|ZXCVBNM<>?\0\0\0\0";

static const struct {
	uint16_t keysym;
	uint8_t make_code;
	bool extended;
} others[] = {
	{ XK_Escape, 0x01, false },
	{ XK_BackSpace, 0x0E, false },
	{ XK_Tab, 0x0F, false },
	{ XK_ISO_Left_Tab, 0x0F, false },
	{ XK_Return, 0x1C, false },
	{ XK_Linefeed, 0x1C, false },
	{ XK_Control_L, 0x1D, false },
	{ XK_Control_R, 0x1D, true },
	{ XK_Shift_L, 0x2A, false },
	{ XK_Shift_R, 0x36, false },
	{ XK_Alt_L, 0x38, false },
	{ XK_Alt_R, 0x38, true },
	{ XK_Meta_L, 0x38, false },
	{ XK_Meta_R, 0x38, true },
	{ XK_ISO_Level3_Shift, 0x38, true },
	{ XK_Mode_switch, 0x38, true },
	{ XK_Super_L, 0x5B, true },
	{ XK_Super_R, 0x5C, true },
	{ XK_Menu, 0x5D, true },
	{ XK_Caps_Lock, 0x3A, false },
	{ XK_Num_Lock, 0x45, false },
	{ XK_Scroll_Lock, 0x46, false },
	{ XK_F1, 0x3B, false },
	{ XK_F2, 0x3C, false },
	{ XK_F3, 0x3D, false },
	{ XK_F4, 0x3E, false },
	{ XK_F5, 0x3F, false },
	{ XK_F6, 0x40, false },
	{ XK_F7, 0x41, false },
	{ XK_F8, 0x42, false },
	{ XK_F9, 0x43, false },
	{ XK_F10, 0x44, false },
	{ XK_F11, 0x57, false },
	{ XK_F12, 0x58, false },
	{ XK_Print, 0x37, true },
	{ XK_Sys_Req, 0x37, true },
	{ XK_Home, 0x47, true },
	{ XK_Up, 0x48, true },
	{ XK_Page_Up, 0x49, true },
	{ XK_Left, 0x4B, true },
	{ XK_Right, 0x4D, true },
	{ XK_End, 0x4F, true },
	{ XK_Down, 0x50, true },
	{ XK_Page_Down, 0x51, true },
	{ XK_Insert, 0x52, true },
	{ XK_Delete, 0x53, true },
	{ XK_KP_Multiply, 0x37, false },
	{ XK_KP_Subtract, 0x4A, false },
	{ XK_KP_Add, 0x4E, false },
	{ XK_KP_Divide, 0x35, true },
	{ XK_KP_Enter, 0x1C, true },
	{ XK_KP_Decimal, 0x53, false },
	{ XK_KP_Delete, 0x53, false },
	{ XK_KP_0, 0x52, false },
	{ XK_KP_Insert, 0x52, false },
	{ XK_KP_1, 0x4F, false },
	{ XK_KP_End, 0x4F, false },
	{ XK_KP_2, 0x50, false },
	{ XK_KP_Down, 0x50, false },
	{ XK_KP_3, 0x51, false },
	{ XK_KP_Page_Down, 0x51, false },
	{ XK_KP_4, 0x4B, false },
	{ XK_KP_Left, 0x4B, false },
	{ XK_KP_5, 0x4C, false },
	{ XK_KP_Begin, 0x4C, false },
	{ XK_KP_6, 0x4D, false },
	{ XK_KP_Right, 0x4D, false },
	{ XK_KP_7, 0x47, false },
	{ XK_KP_Home, 0x47, false },
	{ XK_KP_8, 0x48, false },
	{ XK_KP_Up, 0x48, false },
	{ XK_KP_9, 0x49, false },
	{ XK_KP_Page_Up, 0x49, false },
};

/* Returns the make code whose place in symbols has symbol; 0: none has. */
static uint8_t find(const char *symbols, size_t count, uint32_t symbol)
{
	for (size_t i = 1; i < count; i++)
		if ((uint8_t)symbols[i] == symbol)
			return (uint8_t)i;
	return 0;
}

struct vmb_dev_vnc_key vmb_dev_vnc_find_key(uint32_t keysym)
{
	struct vmb_dev_vnc_key key = { 0 };

	if (keysym >= ' ' && keysym <= '~') {
		key.make_code = find(plain, sizeof(plain) - 1, keysym);
		if (key.make_code)
			return key;
		key.make_code = find(shifted, sizeof(shifted) - 1, keysym);
		key.shift = key.make_code;
		return key;
	}
	for (size_t i = 0; i < VMB_ARRAY_COUNT(others); i++) {
		if (others[i].keysym != keysym)
			continue;
		key.make_code = others[i].make_code;
		key.extended = others[i].extended;
	}
	return key;
}
